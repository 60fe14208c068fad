"""A command under the meter, with real processes: as if nothing stood between it and whoever started it."""

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fairprint.audit.metered import MeteredRecord
from fairprint.audit.metered_store import MeteredFolder, metered_runs
from fairprint.audit.process_group import PASSED_ON
from fairprint.reports.cli import main

COMMAND = str(Path(sys.executable).with_name("fairprint"))
STORE = Path("fairprint-runs")
RAW = b"\x00\xff\x1b[31m not text\r\n"

NOTES_SIGNALS = f"""
import os, signal, subprocess, sys
from fairprint.audit.meter import measure

log = os.open("log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
def came(number, frame):
    os.write(log, signal.Signals(number).name.encode() + b" ")
for number in {[int(number) for number in PASSED_ON]}:
    signal.signal(number, came)
with measure("train", phase="train") as span:
    with measure("epoch 1", phase="epoch"):
        of_grandchild = subprocess.check_output([sys.executable, "-c", "import os; print(os.getpgid(0))"])
    sys.stderr.write("error of the command\\n")
    os.write(1, f"{{os.getpgid(0)}} {{int(of_grandchild)}} {{span.run_id}}\\n".encode())
    os.write(log, b"ready ")
    line = sys.stdin.readline()
os.write(1, {RAW!r} + line.encode())
sys.exit(7)
"""

# shells, since they are ready before any budget is spent
STOPS = "trap 'echo saved; exit 0' TERM; sleep 60 </dev/null >/dev/null 2>&1 & echo started; wait"
GOES_ON = 'trap "" TERM; exec "$@"'

BURNS = """
import resource, sys, time
def used():
    times = resource.getrusage(resource.RUSAGE_SELF)
    return times.ru_utime + times.ru_stime
def burn():
    while used() < 0.3:
        pass
"""
ONE_AFTER_THE_OTHER = (
    BURNS
    + """
import os, subprocess
if len(sys.argv) > 1:
    burn()
    os.write(1, str(used()).encode())
    os._exit(0)  # nothing is used after it was told
else:
    told = [float(subprocess.check_output([sys.executable, "-I", "-S", __file__, "burn"])) for _ in range(20)]
    print(sum(told) + used())
"""
)
TWICE_FORKED = (
    BURNS
    + """
import os
told, fork = 0.0, os.fork
for _ in range(20):
    read, write = os.pipe()
    child = fork()
    if child == 0:
        if fork() == 0:
            burn()
            os.write(write, str(used()).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with open(read) as answer:
        told += float(answer.read())
print(told + used())
"""
)

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start ``fairprint meter`` in a folder and a session of its own; whatever is left of it is killed afterwards."""
    monkeypatch.chdir(tmp_path)
    for name in ("FAIRPRINT_STORE", "FAIRPRINT_METER", "FAIRPRINT_COUNTRY_ISO_CODE", "LOCAL_RANK", "SLURM_LOCALID"):
        monkeypatch.delenv(name, raising=False)
    started: list[subprocess.Popen[bytes]] = []

    def run(*arguments: str, **how: Any) -> subprocess.Popen[bytes]:
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
        process = subprocess.Popen([COMMAND, "meter", "--interval", "0.2", *arguments], start_new_session=True, **how)
        started.append(process)
        return process

    yield run
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=10)


def program(name: str, text: str) -> tuple[str, ...]:
    Path(name).write_text(text)
    return "--", sys.executable, name


def ended(process: "subprocess.Popen[bytes]") -> tuple[int, bytes, str]:
    out, err = process.communicate(timeout=60)
    assert b"Traceback" not in err, err.decode()
    return process.returncode, out, err.decode()


def the_run(store: Path = STORE) -> MeteredFolder:
    (run,) = metered_runs(store)
    return run


def until(true: Callable[[], bool], within_s: float = 30) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def said(file: str) -> list[str]:
    return Path(file).read_text().split() if Path(file).exists() else []


def test_a_command_runs_as_if_the_meter_were_not_there(start: Start) -> None:
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    command = program("train.py", NOTES_SIGNALS)
    process = start("--country-iso-code", "FRA", *command, stdin=theirs, preexec_fn=take_terminal)
    until(lambda: "ready" in said("log"))
    for number in PASSED_ON:  # to the meter alone
        os.kill(process.pid, number)
        until(lambda name=number.name: name in said("log"))  # type: ignore[misc]
    once = Counter(number.name for number in PASSED_ON)
    for number in PASSED_ON:  # to the group, by a shell
        os.killpg(process.pid, number)
        time.sleep(0.2)
    os.write(ours, b"\x03")  # to the group, by the terminal
    until(lambda: said("log").count("SIGINT") >= 3)
    os.write(ours, b"the end\n")
    code, out, err = ended(process)
    os.close(ours)
    os.close(theirs)

    assert Counter(said("log")) == once + once + Counter(["ready", "SIGINT"])
    assert code == 7, (code, out, err)
    first, rest = out.split(b"\n", 1)
    run = the_run()
    assert first.decode().split() == [str(process.pid), str(process.pid), run.run_id]
    assert rest == RAW + b"the end\n"
    assert code == 7
    record = run.record()
    assert (record.kind, record.name, record.status) == ("metered command", "train.py", "truncated")
    assert record.exit_code == 7
    assert [(span.name, span.phase, span.status) for span in record.spans] == [
        ("train", "train", "done"),
        ("epoch 1", "epoch", "done"),
    ]
    assert record.spans[1].parent == record.spans[0].span
    assert record.spans[0].energy_kwh is not None
    assert 0 < record.spans[0].energy_kwh < (record.footprint.energy_kwh or 0)
    assert err.startswith("error of the command\n")
    closing = dict(line.split("  ", 1) for line in err.splitlines()[2:] if "  " in line)
    assert "train.py, truncated, exit code 7" in closing["metered command"]
    assert "FRA, grid of 2023 at 56.0 g/kWh, without PUE" in closing["emissions"]
    assert {"duration", "energy", "CPU time"} <= set(closing)
    assert err.splitlines()[-1] == f"run {run.run_id} in {STORE}"


def test_a_command_inherits_what_its_meters_do_and_one_inside_of_another_is_a_span_of_its_run(start: Start) -> None:
    inherits = ("sh", "-c", "grep -E 'Sig(Blk|Ign)' /proc/self/status; kill -KILL $$")

    def hang_up_ignored() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def masks(out: bytes) -> dict[str, int]:
        # signals 32 and 33 are the C library's own, which it sets as it likes
        lines = (line.split() for line in out.decode().splitlines())
        return {name: int(mask, 16) & 0x7FFFFFFF for name, mask in lines}

    alone = subprocess.run(inherits, stdout=subprocess.PIPE, preexec_fn=hang_up_ignored, check=False).stdout
    assert masks(alone) == {"SigBlk:": 0, "SigIgn:": 1 << signal.SIGHUP - 1}
    inner = (COMMAND, "meter", "--name", "inner", "--record", "inner.json", "--", *inherits)
    process = start("-q", "--name", "short::", "--record", "r.json", *inner, preexec_fn=hang_up_ignored)
    code, out, err = ended(process)

    assert (code, masks(out)) == (128 + signal.SIGKILL, masks(alone))
    run = the_run()
    assert err.splitlines() == [
        f"fairprint: a span of the run {run.run_id}, whose record has what it cost",
        "fairprint: inner.json was not written: there is no record of this command alone",
    ]
    record = MeteredRecord.model_validate_json(Path("r.json").read_text())
    assert record == run.record()
    assert (record.name, record.status, record.exit_code) == ("short::", "truncated", 137)
    told = "the command ended with exit code 137, as after SIGKILL"
    assert told in record.notes
    (span,) = record.spans
    assert (span.name, span.status, span.note) == ("inner", "failed", told)
    assert not Path("inner.json").exists()


def test_cpu_seconds_of_short_and_of_orphaned_processes_are_counted(start: Start) -> None:
    short = start("-q", "--store", "short", *program("short.py", ONE_AFTER_THE_OTHER))
    # and a command that goes on although its budget is spent is not killed
    place = ("--store", "orphans", "--country-iso-code", "POL", "--budget-kg", "1e-6", "--grace", "0.5")
    _, *forks = program("orphans.py", TWICE_FORKED)
    orphans = start(*place, "--", "sh", "-c", GOES_ON, "sh", *forks)

    for process, store, least in ((short, Path("short"), 0.99), (orphans, Path("orphans"), 0.9)):
        code, out, err = ended(process)
        record = the_run(store).record()
        true_s, own_s, machine_s = float(out), record.footprint.own_cpu_s, record.footprint.machine_cpu_s
        assert code == 0
        assert true_s > 6
        assert own_s is not None
        assert machine_s is not None
        assert least <= own_s / true_s <= 1.05
        assert machine_s > 0.95 * true_s
        assert (err == "") == (process is short)
    assert "fairprint: the command goes on 0.5 s after SIGTERM; it is not killed" in err
    assert record.budget is not None
    assert record.budget.outcome == "exceeded"
    assert any("after it was asked to stop" in check for check in record.checks)


def test_a_spent_budget_asks_the_command_to_stop_and_what_it_leaves_behind_is_named(start: Start) -> None:
    process = start("--budget-kwh", "5e-6", "--warn-share", "0.5", "--", "sh", "-c", STOPS)
    code, out, err = ended(process)

    assert (code, out) == (0, b"started\nsaved\n")
    record = the_run().record()
    assert record.status == "complete"
    assert record.budget is not None
    assert (record.budget.outcome, record.budget.energy_kwh, record.budget.warn_share) == ("stopped", 5e-6, 0.5)
    assert "fairprint: the budget is spent: SIGTERM was sent to the command" in err
    assert "budget           5.0 mWh: stopped" in err
    (left,) = [check for check in record.checks if "still ran when it ended" in check]
    assert left.startswith("1 process of the command still ran when it ended (sleep)")
    assert left in err


def test_what_was_metered_before_the_meter_was_killed_can_be_recovered(
    start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    process = start("--", "sh", "-c", "echo $$; while true; do sleep 0.1; done")
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], 30)[0]
    command = int(process.stdout.readline())
    run = the_run()
    time.sleep(1)

    def cli(*arguments: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["fairprint", *arguments, "--json"])
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code
        return json.loads(capsys.readouterr().out)

    assert [row["status"] for row in cli("runs", "list")] == ["running"]
    assert [row["outcome"] for row in cli("runs", "recover")] == ["still running: skipped"]
    assert not run.finished
    killed_s = time.perf_counter()
    process.kill()
    process.wait(timeout=10)
    os.kill(command, 0)  # the command goes on
    assert [row["status"] for row in cli("runs", "list")] == ["cut off: fairprint runs recover"]
    assert [row["outcome"] for row in cli("runs", "recover", run.run_id)] == ["recovered"]
    record = run.record()

    assert (record.status, record.exit_code) == ("truncated", None)
    assert 0 <= killed_s - record.clock.end_s < 0.2 + 0.25
    assert (record.footprint.energy_kwh or 0) > 0
    assert [row["status"] for row in cli("runs", "list")] == ["truncated"]


def test_a_signal_before_the_command_was_started_ends_the_meter_without_it_and_stdout_stays_empty(start: Start) -> None:
    def without_stderr() -> None:
        os.close(2)

    process = start("--", "touch", "started", preexec_fn=without_stderr)
    until(lambda: STORE.is_dir() and any(STORE.iterdir()))
    process.terminate()
    code, out, err = ended(process)

    assert (code, out, err) == (128 + signal.SIGTERM, b"", "")
    assert not Path("started").exists()
    assert "ended by SIGTERM before the command was started" in the_run().record().notes


def test_other_processes_of_a_job_run_the_command_and_meter_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    code, out, err = ended(start("--", "sh", "-c", "echo $LOCAL_RANK; exit 4"))

    assert (code, out) == (4, b"1\n")
    assert err == "fairprint: not metered: another process of this job meters the machine\n"
    assert not STORE.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--", "no-such-program"), 127, "the command 'no-such-program' was not found"),
        (("--", "./no-such-program"), 127, "the command './no-such-program' was not found"),
        (("./plain.txt",), 126, "plain.txt is not executable"),
        (("--", "./"), 126, ". is a folder"),
        (("--", "."), 127, "the command '.' was not found"),
        (("--", ""), 127, "the command '' was not found"),
        ((), 2, "Missing argument"),
        (("--country-iso-code", "XYZ", "true"), 2, "unknown country 'XYZ'"),
        (("--country-iso-code", "FR", "true"), 2, "Did you mean FRA (France)?"),
        (("--country-iso-code", "USA", "--region", "atlantis", "true"), 2, "unknown region 'atlantis' of USA"),
        (("--cloud-region", "gcp:atlantis", "true"), 2, "unknown cloud region"),
        (("--kg-per-kwh", "-1", "true"), 2, "a factor of -1.0 kg/kWh is impossible"),
        (("--pue", "0.5", "true"), 2, "a PUE of 0.5 is impossible"),
        (("--wue", "-1", "true"), 2, "a WUE of -1.0 is impossible"),
        (("--interval", "0", "true"), 2, "a sampling interval of 0.0 s is impossible"),
        (("--budget-kg", "1", "true"), 2, "a budget of emissions needs the place"),
        (("--budget-kg", "1", "--budget-kwh", "1", "true"), 2, "give exactly one of the two"),
        (("--grace", "-1", "true"), 2, "a grace of -1.0 s is impossible"),
        (("--record", "no/folder/r.json", "true"), 2, "no/folder/r.json cannot be written"),
        (("--store", "plain.txt", "true"), 2, "the store plain.txt is not a folder"),
        (("--store", "plain.txt/runs", "true"), 2, "the store plain.txt/runs cannot be written"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written_or_started(
    arguments: tuple[str, ...],
    code: int,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plain.txt").write_text("true\n")
    monkeypatch.setattr(sys, "argv", ["fairprint", "meter", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    shown = capsys.readouterr()

    assert (stop.value.code, shown.out) == (code, "")
    assert told in shown.err
    assert [path.name for path in tmp_path.iterdir()] == ["plain.txt"]
