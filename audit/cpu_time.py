"""CPU-seconds of a run's processes and of the machine."""

import contextlib
import os
from pathlib import Path


def cpu_seconds(*, itself: bool = True) -> tuple[float, float] | None:
    """Return CPU-seconds so far: of this process with its children, and of the whole machine.

    Children that have ended are counted when they were waited for; of those that still run, what they used so far.
    None where the system does not tell.

    Args:
        itself: False to leave this very process out, where it only waits for the one that works.
    """
    import psutil

    times = os.times()
    own = times.children_user + times.children_system + (times.user + times.system if itself else 0.0)
    try:
        own += _of_descendants(os.getpid())
        machine = psutil.cpu_times()
    except (psutil.Error, OSError):
        return None
    # guest is part of user; steal is time that other machines had
    idle = ("idle", "iowait", "steal", "guest", "guest_nice")
    return own, sum(machine) - sum(getattr(machine, name, 0.0) for name in idle)


def _of_descendants(pid: int) -> float:
    """Return CPU-seconds of the living descendants of a process, with those of their own that have ended."""
    if not Path(f"/proc/{pid}/task/{pid}/children").exists():  # not Linux, or a kernel without it
        import psutil

        seconds = 0.0
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                seconds += sum(child.cpu_times()[:4])  # user, system, and the same of its own children
        return seconds
    # psutil reads the files of every process of the machine, which takes fifty times as long
    ticks, seconds, waiting = os.sysconf("SC_CLK_TCK"), 0.0, [pid]
    while waiting:
        for children in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # it has ended
                for child in children.read_text().split():
                    with contextlib.suppress(OSError):
                        fields = Path(f"/proc/{child}/stat").read_text(errors="replace").rpartition(")")[2].split()
                        seconds += sum(map(int, fields[11:15])) / ticks
                        waiting.append(int(child))
    return seconds
