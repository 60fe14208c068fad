"""What CodeCarbon can see of this machine, read through one silent, offline tracker.

CodeCarbon swallows its own errors, takes settings from files and the environment, and logs a lot; here errors are
raised, settings are all given, and nothing is printed. Importing this module does not import CodeCarbon.
"""

import contextlib
import functools
import logging
import os
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fairprint.audit.records import Component, SensorClass

HALF_WIDTHS: dict[SensorClass, float] = {"counter": 0.05, "sampled power": 0.1, "load model": 0.5, "constant": 0.6}
"""Relative uncertainty of each class of sensor; fairprint's assumption."""

GUESSED_HALF_WIDTH = 1.0
"""The same for a load model whose full-load power is itself a guess: a factor of two either way."""

IDLE_SHARE = 0.1
"""Share of a processor's full-load power that CodeCarbon's load model gives it without load."""

CPU_SENSORS: dict[str, tuple[SensorClass, str]] = {
    "intel_rapl": ("counter", "energy counter of the processor (RAPL)"),
    "windows_emi": ("counter", "energy counter of the processor (Energy Meter Interface)"),
    "intel_power_gadget": ("sampled power", "power of the processor (Intel Power Gadget)"),
    "cpu_load": ("load model", "estimated from the load of the whole machine"),
    "constant": ("constant", "half of the full-load power, whatever the load"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Cumulative energy (kWh) since the tracker started, and the seconds that its samples cover.

    ``clock_s`` is when the last sample was taken, on the clock of time.perf_counter.
    """

    clock_s: float
    energy_kwh: dict[str, float]
    covered_s: float


class _Silence(logging.Filter):
    # drops all that CodeCarbon logs, and remembers the last exception that it swallowed
    swallowed: BaseException | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            self.swallowed = record.exc_info[1]
        return False


class _Tap:
    # CodeCarbon hands its totals to the methods of an output handler; task_out is never called without tasks
    total: Any = None

    def out(self, total: Any, delta: Any) -> None:
        self.total = total

    live_out = out

    def exit(self) -> None:
        pass


@functools.cache
def _tracker_class() -> type[Any]:
    """Return CodeCarbon's offline tracker, made safe for threads, with the errors of its samples counted."""
    from codecarbon import OfflineEmissionsTracker

    class Tracker(OfflineEmissionsTracker):
        def __init__(self, **settings: Any) -> None:
            self._guard = threading.RLock()
            self.closed = False
            self.interval_s: float = settings["measure_power_secs"]
            self.covered_s = 0.0
            self.failed_samples = 0
            self.last_error: Exception | None = None
            self.on_sample: Callable[[], None] | None = None
            super().__init__(**settings)

        # Two timer threads and the caller sample at the same time; CodeCarbon itself takes no lock. An exception
        # in a timer thread would be printed and lost, so it is kept here.
        def _measure_power_and_energy(self) -> None:
            self.sample()
            # the journal is written with the guard let go: a slow disk must not hold up whoever asks for a sample
            if self.on_sample is not None and not self.closed:
                self.on_sample()

        def sample(self) -> None:
            with self._guard:
                if self.closed:
                    return
                began = time.perf_counter()
                uncovered_s = began - self._last_measured_time
                try:
                    super()._measure_power_and_energy()
                    self.covered_s += uncovered_s
                except Exception as error:
                    self.failed_samples += 1
                    self.last_error = error
                # CodeCarbon counts from the end of a sample to the begin of the next, and loses what sampling takes:
                # 7 % beside a program that holds the interpreter. After an error, what came before it has its energy.
                self._last_measured_time = began

        # CodeCarbon looks at the power each second beside its samples; where they come as often, that is only a cost
        def _monitor_power(self) -> None:
            if self.closed or self.interval_s <= 1:
                return
            try:
                super()._monitor_power()
            except Exception as error:
                self.failed_samples += 1
                self.last_error = error

        def _prepare_emissions_data(self) -> Any:
            with self._guard:
                return super()._prepare_emissions_data()

    return Tracker


def settings(interval_s: float, handlers: list[Any]) -> dict[str, Any]:
    """Return every setting of CodeCarbon's offline tracker, so that no file and no variable can set one.

    Args:
        interval_s: seconds between two samples.
        handlers: what receives the totals.
    """
    none = "country_iso_code country_2letter_iso_code region cloud_provider cloud_region emissions_endpoint metadata"
    none += " logging_logger gpu_ids force_cpu_power force_ram_power"
    # The token is "" because with None CodeCarbon takes the older co2_signal_api_token from a file, and goes online.
    empty = "electricitymaps_api_token api_endpoint api_key prometheus_url output_file project_name"
    empty += " experiment_id experiment_name logger_preamble"
    return {
        **dict.fromkeys(none.split(), None),
        **dict.fromkeys(empty.split(), ""),
        **dict.fromkeys(("force_mode_cpu_load", "rapl_include_dram", "rapl_prefer_psys"), False),
        "measure_power_secs": interval_s,
        "output_handlers": handlers,
        "output_methods": [],
        "output_dir": tempfile.gettempdir(),  # has to exist; nothing is written to it
        "on_csv_write": "append",
        "api_call_interval": 1,  # totals at each sample
        "tracking_mode": "machine",
        "allow_multiple_runs": True,  # False leaves a lock file behind and takes the signal handlers
        "log_level": "warning",
        # PUE and grid factor are applied by fairprint, late; a factor of 0 keeps CodeCarbon from looking one up
        "pue": 1.0,
        "wue": 0.0,
        "force_carbon_intensity_g_co2e_kwh": 0.0,
    }


@contextlib.contextmanager
def silenced() -> Iterator[_Silence]:
    """Keep CodeCarbon from printing, and leave its logger as it was."""
    logger = logging.getLogger("codecarbon")
    silence, level = _Silence(), logger.level
    logger.addFilter(silence)
    try:
        yield silence
    finally:
        logger.setLevel(level)
        logger.removeFilter(silence)


def _overrides() -> tuple[str, ...]:
    """Return the CodeCarbon settings that files and variables would have set, by name; values may be secrets."""
    from codecarbon.core.config import get_hierarchical_config_with_sources

    _, sources = get_hierarchical_config_with_sources()
    names = {
        f"{key} (from {source if source.startswith('CODECARBON_') else '.codecarbon.config'})"
        for key, source in sources.items()
        if key != "log_level"
    }
    return tuple(sorted(names))


class Session:
    """One CodeCarbon tracker, from its start to its stop.

    Attributes:
        components: the sensors found, without energy.
        gpus: number of GPUs that are metered.
        overrides: names of CodeCarbon settings that were found and set aside.
    """

    def __init__(
        self, *, interval_s: float = 1.0, start: bool = True, on_sample: Callable[[], None] | None = None
    ) -> None:
        """Find the sensors, and start to sample them.

        Args:
            interval_s: seconds between two samples.
            start: False to look at the sensors only.
            on_sample: called in the sampling thread after each of its samples; must not raise.

        Raises:
            RuntimeError: CodeCarbon did not start.
        """
        self._tap = _Tap()
        self._tracker: Any = None
        self._schedulers: tuple[Any, ...] = ()
        self._exit = contextlib.ExitStack()
        silence = self._exit.enter_context(silenced())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._open(interval_s, start, on_sample)
        except BaseException as error:
            self.close()
            if isinstance(error, RuntimeError):
                raise RuntimeError(f"{error}{why(silence.swallowed)}") from silence.swallowed
            raise

    def _open(self, interval_s: float, start: bool, on_sample: Callable[[], None] | None) -> None:
        self.overrides = _overrides()
        tracker = _tracker_class()(**settings(interval_s, [self._tap]))
        if not hasattr(tracker, "_start_time"):
            raise RuntimeError("CodeCarbon refused its settings")
        self._tracker = tracker
        self._schedulers = (tracker._scheduler, tracker._scheduler_monitor_power)
        tracker.get_detected_hardware()
        self.gpus = int(tracker._conf.get("gpu_count") or 0)
        self.components = tuple(sorted(_describe(tracker._hardware, tracker._conf), key=lambda part: part.name))
        if start:
            tracker.start()
            if tracker._start_time is None or self._tap.total is None:
                raise RuntimeError("CodeCarbon did not start" + why(tracker.last_error))
            tracker.on_sample = on_sample

    def read(self) -> Reading:
        """Sample all sensors now.

        Raises:
            RuntimeError: this sample failed.
        """
        tracker = self._tracker
        with tracker._guard:
            before = tracker.failed_samples
            tracker.sample()
            if tracker.failed_samples > before:
                raise RuntimeError("the sensors could not be read" + why(tracker.last_error))
            return self.last()

    def finish(self) -> Reading:
        """Sample all sensors a last time: no sample comes after it.

        Raises:
            RuntimeError: this sample failed.
        """
        with self._tracker._guard:
            try:
                return self.read()
            finally:
                self._tracker.closed = True

    def last(self) -> Reading:
        """Return what the last sample said."""
        tracker = self._tracker
        with tracker._guard:
            total, covered_s, clock_s = self._tap.total, tracker.covered_s, tracker._last_measured_time
        energy_kwh = {name: float(getattr(total, f"{name}_energy")) for name in ("cpu", "gpu", "ram")}
        return Reading(clock_s=clock_s, energy_kwh=energy_kwh, covered_s=covered_s)

    def problems(self) -> tuple[str, ...]:
        """Return what went wrong while sampling, in words."""
        failed = self._tracker.failed_samples
        return (f"{failed} samples failed{why(self._tracker.last_error)}",) if failed else ()

    def close(self) -> None:
        """Stop the tracker and its threads; a second call does nothing."""
        if self._tracker is not None:
            with self._tracker._guard:
                self._tracker.closed = True
            with contextlib.suppress(Exception):  # an error in stopping must not end the user's run
                self._tracker.stop()
                for scheduler in self._schedulers:
                    _halt(scheduler)
        self._exit.close()


def _halt(scheduler: Any) -> None:
    # a timer that fires just when its scheduler is stopped starts the next timer all the same
    for _ in range(10):
        scheduler.stop()
        timer = scheduler._timer
        if timer is None:
            return
        timer.join(timeout=2)
        if scheduler._timer is timer:
            return


def why(error: BaseException | None) -> str:
    """Return ": TypeName: message" of an error, without messages that hold a path of this machine.

    >>> why(ValueError("negative power"))
    ': ValueError: negative power'
    >>> why(None)
    ''
    """
    if error is None:
        return ""
    message = str(error).partition("\n")[0]
    return f": {type(error).__name__}" + (f": {message}" if message and os.sep not in message else "")


def _describe(hardware: list[Any], conf: dict[str, Any]) -> Iterator[Component]:
    found = set()
    for item in hardware:
        name, sensor, half_width, detail = _sensor(item, conf)
        found.add(name)
        yield Component(
            name=name,
            energy_kwh=None,
            sensor=sensor,
            half_width=half_width,
            detail=detail,
            idle_w=_idle_w(item, name, sensor),
        )
    for name in ("cpu", "gpu", "ram"):
        if name not in found:
            yield Component(
                name=name, energy_kwh=None, sensor="none", half_width=None, detail=f"no {name} sensor found"
            )


def _sensor(item: Any, conf: dict[str, Any]) -> tuple[str, SensorClass, float, str]:
    """Return name, sensor class, relative half-width and description of a piece of tracked hardware."""
    sensor: SensorClass
    kind = type(item).__name__
    if kind == "CPU":
        return _cpu_sensor(item)
    if kind == "RAM":
        size = f"{conf['ram_total_size']:.0f} GB of memory"
        name, sensor, detail = "ram", "constant", f"{item.total_power().W:.3g} W assumed, from the size: {size}"
    elif kind == "GPU":
        counter = all(device.last_energy is not None for device in item.devices.devices)
        sensor = "counter" if counter else "sampled power"
        models = ", ".join(str(gpu["name"]) for gpu in item.devices.get_gpu_static_info())
        name, detail = "gpu", f"{'energy counter' if counter else 'power, averaged'} of {models}"
    else:  # the chips of Apple and Raspberry Pi report their power
        name, sensor, detail = item.chip_part.lower(), "sampled power", f"power as {item.get_model()} reports it"
    return name, sensor, HALF_WIDTHS[sensor], detail


def _idle_w(item: Any, name: str, sensor: SensorClass) -> float | None:
    """Return what a model says of the power (W) without load; None where power is measured."""
    if sensor == "load model":
        return IDLE_SHARE * float(item._tdp)
    return float(item.total_power().W) if name == "ram" and sensor == "constant" else None


def _cpu_sensor(item: Any) -> tuple[str, SensorClass, float, str]:
    """Return the same for a processor; a load model says whether its full-load power is known or a guess."""
    sensor, detail = CPU_SENSORS[item._mode]
    if sensor not in ("load model", "constant"):
        return "cpu", sensor, HALF_WIDTHS[sensor], f"{detail}, {item.get_model()}"
    from codecarbon.core import cpu, hardware_cache

    listed: Any = hardware_cache.get_cached_tdp  # CodeCarbon is typed in parts only
    model = item.get_model() or "unknown processor"
    # CodeCarbon does not say that it guessed; its list of processors does
    guessed = item._is_generic_tdp or listed(cpu)._get_cpu_power_from_registry(model) is None
    power = f"{item._tdp:.3g} W at full load ({'a guess: the processor is not listed' if guessed else 'as listed'})"
    return "cpu", sensor, GUESSED_HALF_WIDTH if guessed else HALF_WIDTHS[sensor], f"{detail}; {power}, {model}"


def torch_gpus() -> int:
    """Return how many GPUs torch sees; 0 where the run has not loaded torch."""
    torch = sys.modules.get("torch")
    try:
        return int(torch.cuda.device_count()) if torch is not None and torch.cuda.is_available() else 0
    except Exception:  # torch is imported by half, or the driver does not answer
        return 0
