"""The command that meters another one."""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from fairprint.reports import options as o
from fairprint.reports.cli_runs import check_output

if TYPE_CHECKING:
    from fairprint.audit.budget import Budget
    from fairprint.audit.metered import Purpose as PurposeName
    from fairprint.audit.metered_command import Ended

EPILOG = (
    "Example: fairprint meter --country-iso-code KOR -- python train.py --epochs 3. "
    "Exit codes: the command's own; 128 + n where signal n ended it; 127 where it is not found, 126 where it cannot be "
    "executed, and 2 for wrong usage of fairprint meter, each before anything is written or started. "
    "stdin, stdout and stderr are the command's; fairprint writes to stderr alone. "
    "The command runs in the process group of fairprint meter: TERM, HUP, INT, QUIT, USR1 and USR2 that come to "
    "fairprint meter alone are passed on, those that came to the whole group, as by Ctrl-C, are not doubled."
)
CONTEXT = {"allow_interspersed_args": False}
"""Options behind the name of the command are the command's, also without ``--``."""


def meter(
    command: o.CommandLine,
    name: o.MeteredName = None,
    purpose: o.Purpose = None,
    task: o.Task = "",
    store: o.Store = o.DEFAULT_STORE,
    country_iso_code: o.Country = None,
    region: o.Region = None,
    cloud_region: o.CloudRegion = None,
    kg_per_kwh: o.KgPerKwh = None,
    pue: o.Pue = None,
    wue: o.Wue = None,
    interval: o.Interval = 1.0,
    budget_kwh: o.BudgetKwh = None,
    budget_kg: o.BudgetKg = None,
    warn_share: o.WarnShare = 0.8,
    grace: o.Grace = 30.0,
    record: o.MeteredRecordFile = None,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Run COMMAND and meter what it costs, as if fairprint meter were not there.

    The energy of the whole machine is sampled until the command ends, and stored beside the audits; a program that
    uses fairprint.audit.meter.measure adds its spans to the same run. Where fairprint meter is killed, the command goes
    on unmetered, and fairprint runs recover writes what was metered until then.
    """
    from fairprint.audit.meter import measure
    from fairprint.audit.metered_command import name_of, run_command

    if record is not None:
        check_output(record)
    tell = _teller(quiet)
    span = measure(
        name_of([name]) if name else name_of(command),
        kind="metered command",
        purpose=cast("PurposeName | None", purpose),
        task=task,
        store=store,
        country_iso_code=country_iso_code,
        region=region,
        cloud_region=cloud_region,
        kg_per_kwh=kg_per_kwh,
        pue=pue,
        wue=wue,
        interval_s=interval,
        budget=_budget(budget_kwh, budget_kg, warn_share),
    )
    ended = run_command(command, span, grace_s=grace, tell=tell)
    with contextlib.suppress(OSError):  # nobody reads stderr any more: that changes nothing of what the command did
        _close(ended, store, record, tell, quiet)
    raise typer.Exit(ended.exit_code)


def _teller(quiet: bool) -> Callable[[str], None]:
    """Return what prints a remark on stderr; warnings of the meter go the same way."""
    import logging

    from fairprint.reports.text import clean, safe_for_log

    def tell(text: str) -> None:
        if not quiet:
            with contextlib.suppress(OSError):
                typer.echo(safe_for_log(f"fairprint: {clean(text)}"), err=True)

    class Tell(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            tell(record.getMessage())

    log = logging.getLogger("fairprint")
    log.handlers, log.propagate = [Tell(level=logging.WARNING)], False
    return tell


def _budget(kwh: float | None, kg: float | None, warn_share: float) -> "Budget | None":
    from fairprint.audit.budget import Budget

    if kwh is None and kg is None:
        return None
    return Budget(energy_kwh=kwh, emissions_kg=kg, warn_share=warn_share)


def _close(ended: "Ended", store: Path, file: Path | None, tell: Callable[[str], None], quiet: bool) -> None:
    """Tell what it cost and where the record is, and write the record where it was asked for."""
    if ended.run_id is None:
        tell("not metered: another process of this job meters the machine")
    elif ended.joined:
        tell(f"a span of the run {ended.run_id}, whose record has what it cost")
    elif ended.record is None:
        tell(f"the record of {ended.run_id} could not be written; fairprint runs recover writes it from the journal")
    if ended.record is None:
        if file is not None:
            tell(f"{file} was not written: there is no record of this command alone")
        return
    if file is not None:
        from fairprint.audit.records import to_json

        try:
            file.write_text(to_json(ended.record), encoding="utf-8")
        except OSError as error:
            tell(f"{file} could not be written: {error.strerror}")
    if not quiet and sys.stderr is not None:  # without stderr the summary would go to stdout, which is the command's
        from fairprint.reports.metered_table import print_summary
        from fairprint.reports.terminal import stderr

        console = stderr()
        console.print()
        print_summary(ended.record, console)
        console.print(f"run {ended.run_id} in {store}", markup=False, highlight=False)
