"""What an update of the baseline changes, as people see it in the terminal."""

from pathlib import Path
from typing import Any

import typer

from fairprint.audit.amounts import told
from fairprint.audit.baseline import Baseline
from fairprint.audit.records import Estimate
from fairprint.reports.text import clean

_MAIN = ("stereotype_score", "signed_effect", "accuracy", "mean_logprob_per_token", "mean_logprob_per_character")
_LARGE = 1_000_000


def update_rows(before: Baseline | None, after: Baseline) -> list[dict[str, Any]]:
    """Return each metric of a whole set with its value before and after; None where there is none."""

    def key(estimate: Estimate) -> tuple[str, str, tuple[str, str] | None]:
        return estimate.metric, estimate.instrument, estimate.comparison

    old = {} if before is None else {key(e): e.value for e in before.run.estimates}
    return [
        {
            "metric": e.metric,
            "instrument": e.instrument,
            "comparison": e.comparison,
            "unit": e.unit,
            "before": old.get(key(e)),
            "after": e.value,
        }
        for e in after.run.estimates
    ]


def print_update(before: Baseline | None, after: Baseline, path: Path) -> None:
    """Print what the new baseline is, and how its main numbers differ from the one before."""
    size = path.stat().st_size
    typer.echo(f"baseline  {path} ({size / 1000:,.0f} kB): {clean(after.run.plan.model.name)}, run {after.run.run_id}")
    if before is not None:
        typer.echo(f"before    {clean(before.run.plan.model.name)}, run {before.run.run_id}: {clean(before.reason)}")
    for row in update_rows(before, after):
        if row["metric"] in _MAIN and row["after"] is not None:
            was = "" if row["before"] is None else f"{told(row['before'], row['unit'])} -> "
            typer.echo(f"  {row['metric']} of {row['instrument']}: {was}{told(row['after'], row['unit'])}")
    if size > _LARGE:
        typer.echo(
            "note      it is large: with limits in the settings, only the sets that they name are kept", err=True
        )
    typer.echo("Commit it: a pull request then shows what has changed, and why.", err=True)
