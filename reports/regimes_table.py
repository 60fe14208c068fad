"""Ways to learn one task in the terminal, and as JSON: the sentences and tables of their page."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fairprint.audit.records import RunRecord
from fairprint.audit.regimes import Found, Gap, Regime
from fairprint.reports import regimes_views as views
from fairprint.reports.printed import print_head, print_line, print_table, unmarked
from fairprint.reports.regimes_among import Ways
from fairprint.reports.terminal import stdout
from fairprint.reports.text import json_for_log, safe_for_log

METHOD = (
    "qualities and their differences: 95 % t intervals by a jackknife over the units of the items, shares on the logit"
    " scale, differences paired by item, for other items and not for other seeds; energies and emissions: 90 % by draws"
    " from the errors of the sensors, which are the same in all runs that they measured; what else ran on the"
    " machine meanwhile is in the energies and not in the intervals"
)


def print_ways(of: Ways, audits: Sequence[RunRecord]) -> None:
    """Print what each way took and how good it became, what separates them, and when pretraining comes back."""
    console = stdout()
    with console.capture() as found:
        print_head(console, unmarked(views.title(of.regimes)))
        for topic, sentences in (*views.lead(of.regimes), *views.reuse_lead(of.reuse, of.uses)):
            print_head(console, topic)
            for sentence in sentences:
                print_line(console, sentence)
        print_table(console, "Each way", views.regimes_table(of.regimes))
        for remark in views.remarks(of.regimes):
            print_line(console, remark)
        for title, table in (
            ("Gaps", views.gaps_table(of.regimes)),
            ("What audits found", views.bias_table(of.regimes, audits)),
        ):
            if table is not None:
                print_table(console, title, table)
        console.print(f"\nIntervals of {METHOD}.", highlight=False, markup=False, soft_wrap=True)
    print(safe_for_log(found.get()), end="")  # as a whole, since a cell that is folded begins a line


def as_json(of: Ways, audits: Sequence[RunRecord]) -> str:
    """Return the comparison as a JSON document: energies in kWh, emissions in kg, durations in s."""
    told = {
        "schema_version": 1,
        "task": of.regimes.task,
        "regimes": [_regime(regime, audits) for regime in of.regimes.regimes],
        "what_pretraining_knew": _gap(of.regimes.knew),
        "what_is_optimisation": _gap(of.regimes.optimised),
        "reuse": {
            "pretraining_kwh": of.reuse.pretraining_kwh,
            "reuses": of.reuse.reuses,
            "saved_by_a_fine_tuning_kwh": asdict(of.reuse.saved),
            "break_even_tasks": asdict(of.reuse.break_even),
            "attributional_share_kwh": asdict(of.reuse.attributional),
            "consequential_share_kwh": 0.0,
        },
        "use": [
            {
                "run_id": use.regime.record.run_id,
                "query_kwh": asdict(use.query),
                "query_given": use.given,
                "answers_to_match_training": asdict(use.answers),
            }
            for use in of.uses
        ],
        "interval_method": METHOD,
    }
    return json_for_log(json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False))


def _regime(regime: Regime, audits: Sequence[RunRecord]) -> dict[str, Any]:
    record, cost = regime.record, regime.cost
    return {
        "run_id": record.run_id,
        "name": record.name,
        "purpose": record.purpose,
        "steps": regime.steps,
        "duration_s": cost.duration_s,
        "energy_kwh": asdict(cost.energy_kwh),
        "emissions_kg": asdict(cost.emissions_kg),
        "of_the_whole_run": cost.whole,
        "qualities": [_found(found) for found in regime.qualities],
        "audits": [audit.run_id for audit in audits if record.run_id in audit.lineage],
    }


def _gap(gap: Gap | None) -> dict[str, Any] | None:
    if gap is None:
        return None
    return {
        "first": gap.first.record.run_id,
        "second": gap.second.record.run_id,
        "better_by": [_found(found) for found in gap.differences],
        "energy_ratio": asdict(gap.energy_ratio),
    }


def _found(found: Found) -> dict[str, Any]:
    return asdict(found) | {"units": dict(found.units), "warnings": list(found.warnings)}
