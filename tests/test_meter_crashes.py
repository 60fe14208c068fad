"""What is left of a metered training when it ends badly: each time a real process that trains a small network."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairprint.audit.curve import Curve
from fairprint.audit.journal import Journal, read_events, read_journal
from fairprint.audit.metered import MeteredRecord
from fairprint.audit.metered_store import MeteredFolder, metered_runs
from fairprint.probes.errors import StoreError, UsageError

INTERVAL_S = 0.5
TRAINING = '''
import json, os, signal, subprocess, sys, time
from pathlib import Path
import urllib3  # asks the system by a socket of its own whether it knows IPv6, once, when it is imported
opened = []
sys.addaudithook(lambda event, told: opened.append(event) if event.startswith("socket.") else None)
import numpy
from fairprint.audit.meter import measure

draw = numpy.random.default_rng(0)
inputs, targets = draw.normal(size=(64, 64)), draw.normal(size=(64, 4))
first, second = draw.normal(size=(64, 256)) / 8, draw.normal(size=(256, 4)) / 16

def train(seconds, span=None):
    """Gradient descent on the squared error of a network with one hidden layer."""
    global first, second
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        hidden = numpy.maximum(inputs @ first, 0)
        error = hidden @ second - targets
        back = error @ second.T * (hidden > 0)
        first, second = first - 1e-4 * inputs.T @ back, second - 1e-4 * hidden.T @ error
        if span is not None:
            span.count(steps=1)

def ready(**told):
    print(json.dumps(told), flush=True)

store = Path(sys.argv[1])
'''


def start(script: str, store: Path, *before: str, **variables: str) -> subprocess.Popen[str]:
    """Start a training; it prints a line of JSON when it is well under way."""
    return subprocess.Popen(
        [*before, sys.executable, "-c", TRAINING + textwrap.dedent(script), str(store)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=store.parent,
        # meters find each other by the temporary folder: those of other tests are none of these
        env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(store.parent), **variables},
    )


def told(process: subprocess.Popen[str]) -> dict:
    assert process.stdout is not None and process.stderr is not None
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return json.loads(line)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def only_run(store: Path) -> MeteredFolder:
    (run,) = metered_runs(store)
    return run


ENDLESS = f"""
with measure("training", store=store, country_iso_code="KOR", interval_s={INTERVAL_S}):
    with measure("epoch", phase="epoch") as epoch:
        train(1.3, epoch)
        ready(clock=time.perf_counter())
        train(60, epoch)
"""


def test_a_killed_training_leaves_all_but_one_sampling_interval(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    process = start(ENDLESS, store)
    told(process)
    run = only_run(store)
    assert run.alive()
    with pytest.raises(UsageError, match="still goes on"):
        run.recover()
    killed_s = time.perf_counter()
    process.send_signal(signal.SIGKILL)
    assert ended(process)[0] == -signal.SIGKILL
    assert not run.finished and not run.alive()

    record = run.recover()
    assert record == run.record() and record.status == "truncated"
    # the samples' clock is that of the whole machine, and so is the test's
    assert killed_s - record.clock.end_s <= INTERVAL_S + 0.5  # half a second for a busy machine
    assert record.footprint.energy_kwh > 0 and record.footprint.duration_s > 1.3 - INTERVAL_S - 0.1
    (epoch,) = record.spans
    assert epoch.status == "truncated" and epoch.energy_kwh == pytest.approx(record.footprint.energy_kwh, rel=0.2)
    assert epoch.work.steps > 10
    assert "ended without a word" in record.notes[0]
    with pytest.raises(UsageError, match="its record already"):
        run.recover()


def test_a_terminated_training_writes_its_record_and_dies_of_the_signal(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    process = start(ENDLESS, store)
    told(process)
    process.terminate()
    assert ended(process)[0] == -signal.SIGTERM
    record = only_run(store).record()
    assert record.status == "truncated" and record.notes == ("ended by SIGTERM",)
    assert record.footprint.energy_kwh > 0 and record.spans[0].status == "truncated"


def test_a_program_that_ends_itself_on_a_signal_does_so_and_has_its_record(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    script = "signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))\n" + ENDLESS
    process = start(script, store)
    told(process)
    process.terminate()
    assert ended(process)[0] == 143
    record = only_run(store).record()
    assert record.status == "truncated" and record.notes == ("SIGTERM came", "ended by SystemExit")
    assert record.spans[0].status == "failed"


def test_a_training_that_raises_has_its_traceback_and_its_record(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    process = start(
        """
        import atexit
        with measure("training", store=store, interval_s=0.2):
            train(0.5)
            raise ValueError("a bad batch")
        """,
        store,
    )
    code, _, err = ended(process)
    assert code == 1 and "ValueError: a bad batch" in err
    record = only_run(store).record()
    assert (record.status, record.notes) == ("truncated", ("ended by ValueError",))


def test_a_span_that_is_never_stopped_is_cut_off_when_the_program_ends(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    process = start("measure('training', store=store, interval_s=0.2).start(); train(0.5)", store)
    code, _, err = ended(process)
    assert code == 0, err
    record = only_run(store).record()
    assert record.status == "truncated" and "the program ended while it was metered" in record.notes


def test_a_full_disk_never_stops_the_training_and_loses_nothing_in_memory(tmp_path: Path) -> None:
    store = tmp_path / "small" / "runs"
    store.parent.mkdir()
    mounted = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size=64k none "{store.parent}" && exec "$@"', "sh"]
    if subprocess.run([*mounted, "true"], capture_output=True).returncode:
        pytest.skip("a file system of 64 kB cannot be mounted here")
    process = start(
        """
        with measure("training", store=store, interval_s=0.05) as run:
            with measure("before"):
                train(0.4)
            filler = (store / "filler").open("wb", buffering=0)
            try:
                while filler.write(b"x" * 512): pass
            except OSError as error:
                full = error.errno
            with measure("while full"):
                train(1.5)
                # the last page of the file may have had room for some samples more
                until, size, journal = time.monotonic() + 60, -1, store / run.run_id / "journal.jsonl"
                while time.monotonic() < until and size != (size := journal.stat().st_size):
                    train(1.0)
        lines = (store / run.run_id / "journal.jsonl").read_bytes()
        ready(full=full, whole=b'"close"' in lines, record=json.loads(run.record.model_dump_json()))
        """,
        store,
        *mounted,
    )
    said = told(process)
    code, _, err = ended(process)
    assert code == 0, err
    assert said["full"] == 28 and not said["whole"]
    record = MeteredRecord.model_validate(said["record"])
    assert [(span.name, span.status) for span in record.spans] == [("before", "done"), ("while full", "done")]
    assert record.spans[1].energy_kwh > 0
    assert any("could not be written" in note for note in record.notes)
    assert "the record of" in err and "No space left" in err


def test_a_clock_that_is_set_back_an_hour_changes_nothing(tmp_path: Path) -> None:
    library, flag, store = tmp_path / "clock.so", tmp_path / "back", tmp_path / "runs"
    source = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stdlib.h>
        #include <time.h>
        #include <unistd.h>
        int clock_gettime(clockid_t id, struct timespec *t) {
            static int (*real)(clockid_t, struct timespec *);
            if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
            int done = real(id, t);
            if (id == CLOCK_REALTIME && access(getenv("BACK"), F_OK) == 0) t->tv_sec -= 3600;
            return done;
        }
    """
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-xc", "-o", library, "-"], input=source, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a C compiler, to set back the clock of one process alone")
    process = start(
        """
        with measure("training", store=store, interval_s=0.2) as run:
            with measure("before"):
                train(0.8)
            before = time.time()
            Path(os.environ["BACK"]).touch()
            ready(back=before - time.time())
            with measure("after"):
                train(0.8)
        """,
        store,
        LD_PRELOAD=str(library),
        BACK=str(flag),
    )
    assert told(process)["back"] == pytest.approx(3600, abs=1)
    code, _, err = ended(process)
    assert code == 0, err
    record = only_run(store).record()
    assert record.started_at < record.finished_at and 1.5 < record.footprint.duration_s < 3.5
    before, after = record.spans
    assert before.duration_s == pytest.approx(0.8, abs=0.1) and after.duration_s == pytest.approx(0.8, abs=0.1)
    assert after.energy_kwh == pytest.approx(before.energy_kwh, rel=0.5)


def test_a_meter_in_a_program_that_a_metered_one_starts_joins_it(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    process = start(
        """
        if len(sys.argv) > 2:
            with measure("inner", phase="train", store=store / "elsewhere", country_iso_code="FRA") as inner:
                with measure("inner epoch", phase="epoch") as epoch:
                    train(0.7, epoch)
                assert inner.record is None
            raise SystemExit
        with measure("outer", store=store, interval_s=0.2) as run:
            own = open("/proc/self/cmdline", "rb").read().decode().split(chr(0))[:-1]
            subprocess.run([*own, "inner"], check=True)
        """,
        store,
    )
    code, _, err = ended(process)
    assert code == 0, err
    assert not (store / "elsewhere").exists()
    record = only_run(store).record()
    inner, epoch = record.spans
    assert (inner.name, inner.parent, epoch.parent) == ("inner", None, inner.span)
    assert inner.span.partition(".")[0].isdigit() and "." in inner.span
    assert epoch.duration_s == pytest.approx(0.7, abs=0.1) and epoch.work.steps > 10
    assert 0 < epoch.energy_kwh <= inner.energy_kwh < record.footprint.energy_kwh
    assert record.overlaps == ()


def test_two_meters_of_different_programs_both_say_that_they_overlap(tmp_path: Path) -> None:
    script = """
        with measure("training", store=store, interval_s=0.2):
            train(0.5)
            ready()
            train(60)
        """
    first = start(script, tmp_path / "first")
    told(first)
    second = start(script, tmp_path / "second")
    told(second)
    time.sleep(0.5)
    second.kill()
    ended(second)
    first.kill()
    ended(first)
    one, other = only_run(tmp_path / "first").recover(), only_run(tmp_path / "second").recover()
    assert [(found.run_id, found.began_before) for found in one.overlaps] == [(other.run_id, False)]
    assert (one.run_id, True) in [(found.run_id, found.began_before) for found in other.overlaps]
    assert one.clock.machine == other.clock.machine and one.clock.boot == other.clock.boot
    assert one.clock.begin_s < other.clock.begin_s < one.clock.end_s


def test_a_forked_child_does_not_end_the_run_of_its_parent(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    process = start(
        """
        with measure("training", store=store, interval_s=0.2) as run:
            if os.fork() == 0:
                with measure("in the child"):
                    train(0.3)
                sys.exit(0)
            os.wait()
            assert not (store / run.run_id / "run.json").exists()
            train(0.3)
        """,
        store,
    )
    code, _, err = ended(process)
    assert code == 0, err
    record = only_run(store).record()
    assert record.status == "complete" and [span.name for span in record.spans] == ["in the child"]


# a network that swallows everything


def _ip(*arguments: str) -> bool:
    try:
        return subprocess.run(["ip", *arguments], capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.fixture
def black_hole() -> Iterator[list[str]]:
    """A network name space whose default route leads to a neighbour that forwards nothing."""
    inside, outside = f"fp{os.getpid()}a", f"fp{os.getpid()}b"
    steps = [
        ("netns", "add", inside),
        ("netns", "add", outside),
        ("-n", inside, "link", "add", "in", "type", "veth", "peer", "name", "out", "netns", outside),
        ("-n", inside, "address", "add", "192.0.2.1/24", "dev", "in"),
        ("-n", outside, "address", "add", "192.0.2.2/24", "dev", "out"),
        ("-n", inside, "link", "set", "in", "up"),
        ("-n", outside, "link", "set", "out", "up"),
        ("-n", inside, "route", "add", "default", "via", "192.0.2.2"),
    ]
    try:
        if not all(_ip(*step) for step in steps):
            pytest.skip("network name spaces are not allowed here")
        yield ["ip", "netns", "exec", inside]
    finally:
        for name in (inside, outside):
            _ip("netns", "delete", name)


def test_a_network_that_swallows_everything_costs_no_time_and_no_socket_is_opened(
    tmp_path: Path, black_hole: list[str]
) -> None:
    try_it = "import socket; socket.create_connection(('169.254.169.254', 80), 2)"
    tried = subprocess.run([*black_hole, sys.executable, "-c", try_it], capture_output=True, text=True)
    assert "TimeoutError" in tried.stderr, "the name space lets connections fail at once"

    script = """
        begin = time.perf_counter()
        run = measure("training", store=store, interval_s=0.5).start()
        started = time.perf_counter()
        train(1.2)
        before = time.perf_counter()
        run.stop()
        ready(start_s=started - begin, stop_s=time.perf_counter() - before, opened=opened)
        """
    # on a busy machine either may take a second longer; what waits for a network does so every time
    for attempt in range(3):
        outside = start(script, tmp_path / f"outside {attempt}")
        free = told(outside)
        assert ended(outside)[0] == 0
        inside = start(script, tmp_path / f"inside {attempt}", *black_hole)
        held = told(inside)
        assert ended(inside)[0] == 0
        quick = held["start_s"] <= free["start_s"] + 1 and held["stop_s"] <= free["stop_s"] + 1
        if quick:
            break
    assert quick, (held, free)
    assert held["opened"] == free["opened"] == []
    assert only_run(tmp_path / f"inside {attempt}").record().footprint.energy_kwh > 0


# the journal


def test_a_line_that_was_cut_off_is_left_out_and_a_damaged_one_is_counted() -> None:
    content = b'{"event": "begin"}\nnot json\n{"no": "event"}\n[1]\n{"event": "end"}\n{"event": "sam'
    assert read_events(content) == ([{"event": "begin"}, {"event": "end"}], 3)
    assert read_events(b"") == ([], 0)
    with pytest.raises(StoreError, match="first line"):
        read_journal(b"", "a run")
    with pytest.raises(StoreError, match="first line"):
        read_journal(content, "a run")


def test_samples_that_do_not_rise_in_time_are_left_out() -> None:
    kwh = dict.fromkeys(("cpu", "gpu", "ram"), 1.0)
    assert Curve.of({"t": t, "kwh": kwh} for t in (0.0, 1.0, 1.0, 0.5, 2.0)).times_s == [0.0, 1.0, 2.0]


def test_a_journal_is_never_written_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write("sample", t=1.0)
    journal.close()
    with pytest.raises(StoreError, match="cannot be made"):
        Journal(tmp_path / "journal.jsonl")
    with pytest.raises(ValueError, match="JSON"):
        journal.write("sample", t=float("nan"))
