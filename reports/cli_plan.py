"""The command that says how many templates and words would decide a margin."""

from typing import TYPE_CHECKING, Annotated

import typer

from fairprint.probes.errors import UsageError, nearest
from fairprint.reports import options as o
from fairprint.reports.cli_runs import finished

if TYPE_CHECKING:
    from fairprint.audit.records import Estimate, ProbeInfo, RunRecord

EPILOG = (
    "Example: fairprint audit MODEL; fairprint plan latest --margin 2 --power 0.8. "
    "A margin of 2 points asks: had the score truly lain 2 points off 50 %, how many templates and words would have "
    "shown it in four of five audits? "
    "Exit codes: 0 planned, whatever came out; 2 wrong usage, such as a margin of 0 or an unknown metric; 3 the run "
    "cannot be read."
)


def plan(
    run: o.Run,
    margin: Annotated[
        float | None,
        typer.Option(
            "--margin",
            help="Smallest distance that matters: in points for shares, else in the unit of the metric. Without it "
            "only what the run can find.",
        ),
    ] = None,
    power: Annotated[
        float, typer.Option("--power", help="Probability with which a true distance of that size is to be found.")
    ] = 0.8,
    metric: Annotated[
        str | None,
        typer.Option("--metric", metavar="NAME", help="Plan for this metric. Default: the main one of each set."),
    ] = None,
    probes: Annotated[
        list[str] | None,
        typer.Option("--probes", metavar="NAME", help="Plan this set alone; repeat for several. Default: all."),
    ] = None,
    store: o.Store = o.DEFAULT_STORE,
    as_json: o.Json = False,
) -> None:
    """Say how many templates and words, not items, would decide a margin, and which of the two limits a stored run.

    A score varies with the templates that happened to be written and with the words that happened to be chosen, and
    more items made of the same ones do not help. From the spread that the run has found, this tells which of the two
    matters more, what the run can find as it is, and how many of either would find a distance as small as the margin.
    Nothing is stored, and no model is loaded.
    """
    from fairprint.audit.planning import check, outlook
    from fairprint.reports.plan_table import as_rows, print_plan

    check(margin, power)
    record = finished(run, store).record()
    planned = [
        (label, probe, outlook(estimate, margin, power))
        for label, probe, estimate in chosen(record, metric, probes or ())
    ]
    if as_json:
        import json

        told = {"schema_version": 1, "run": record.run_id, "margin": margin, "power": power, "plans": as_rows(planned)}
        typer.echo(json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False))
    else:
        print_plan(record, planned)


def chosen(
    record: "RunRecord", metric: str | None, probes: "list[str] | tuple[str, ...]"
) -> "list[tuple[str, ProbeInfo, Estimate]]":
    """Return what is planned: of each instrument its main metric, or the one that is named.

    Raises:
        UsageError: the run has no such set or metric.
    """
    from fairprint.reports.selection import headline, instruments, pick

    names = [probe.name for probe in record.probes]
    for name in probes:
        if name not in names:
            raise UsageError(
                f"the run did not ask '{name}'.{nearest(name, names)}", hint=f"it asked {', '.join(names)}"
            )
    asked = [found for found in instruments(record) if not probes or found[1].name in probes]
    if metric is None:
        heads = [(label, probe, headline(estimates)) for label, probe, estimates in asked]
        return [(label, probe, head) for label, probe, head in heads if head is not None]
    found = [(label, probe, e) for label, probe, estimates in asked for e in pick(estimates, metric)]
    found = found or [(lb, p, e) for lb, p, estimates in asked for e in pick(estimates, metric, "condition:")]
    if not found:
        known = list(dict.fromkeys(e.metric for _, _, estimates in asked for e in estimates))
        raise UsageError(
            f"the run has no metric '{metric}' there.{nearest(metric, known)}", hint=f"it has {', '.join(known)}"
        )
    return found
