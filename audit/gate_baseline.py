"""Making a run the baseline, as the settings of a project say."""

from datetime import UTC, datetime
from pathlib import Path

from fairprint.audit.baseline import Baseline, make_baseline, read_baseline, write_baseline
from fairprint.audit.gate import judged
from fairprint.audit.limits import FOOTPRINT, WORK
from fairprint.audit.rules import names
from fairprint.audit.settings import read_settings
from fairprint.audit.store import Store
from fairprint.probes.errors import StoreError, UsageError, nearest


def update_baseline(
    run: str,
    reason: str,
    *,
    config: Path | None = None,
    baseline: Path | None = None,
    store: Path | None = None,
    allow_partial: bool | None = None,
) -> tuple[Baseline | None, Baseline, Path]:
    """Make a stored run the baseline.

    Args:
        run: its id, the beginning or end of it where unique, or ``latest``.
        reason: why.
        config: the settings file; where None, it is looked for from the working directory up.
        baseline: the file to write; where None, the one that the settings name.
        store: folder of runs; where None, the one that the settings name.
        allow_partial: take a run that asked only a part of the questions; where None, as the settings say.

    Returns:
        The baseline before, None where there was none or it could not be read; the new one; and its file.

    Raises:
        SettingsError: the settings say something that cannot be used.
        UsageError: there is no such run, it cannot be a baseline, no reason is given, or a limit names a set that it
            did not ask.
        StoreError: the run cannot be read, or the file not be written.
    """
    found = read_settings(config, Path.cwd())
    settings = found.settings
    path = baseline or found.folder / settings.baseline
    folder = Store(store or found.folder / settings.store).find(run)
    record = judged(folder, allow_partial=settings.allow_partial if allow_partial is None else allow_partial)
    asked = [probe.name for probe in record.probes]
    wanted = [
        limit.probes
        for limit in settings.limits
        if limit.metric not in (*FOOTPRINT, *WORK) and limit.probes is not None and "relative" in names(limit)
    ]
    for name in wanted:
        if name not in asked:
            raise UsageError(
                f"a limit in {found.file} names '{name}', which the run did not ask.{nearest(name, asked)}",
                hint=f"it asked {', '.join(asked)}",
            )
    try:
        before = read_baseline(path)
    except StoreError:
        before = None  # it is what this replaces
    after = make_baseline(folder, wanted, reason, datetime.now(UTC))
    write_baseline(after, path)
    return before, after, path
