"""What a metered run's numbers were checked for, each with a verdict in words."""

from collections.abc import Sequence

from markupsafe import Markup

from fairprint.audit.carbon import MAX_LOSS, WARN_SHARE
from fairprint.audit.metered import MeteredRecord
from fairprint.reports.numbers import ENERGY, MASS, absent, number, scaled
from fairprint.reports.tables import Table
from fairprint.reports.text import code, say

PASS, ATTENTION, NOT_APPLICABLE = "pass", "attention", "not applicable"
MOST_NAMED = 10
"""Runs beside which are named; of more, only how many they are is told."""

_ASIDE = "settings of CodeCarbon were found and set aside"
_GPUS = ("torch sees ", "not metered: torch sees ")
_LOST = ("the journal could not be written", "lines of the journal could not be read")
_FAILED = ("samples failed", "a sample failed", "sensor reported no energy", "sensor gave no usable number")
_OF_OTHERS = ("no sample covers ", " was not measured but assumed: ")
"""Warnings that a check of its own tells in other words."""

Verdict = tuple[str, str, Markup]
"""What was looked at, the verdict, and what was found."""


def checks_table(run: MeteredRecord) -> Table:
    """Return all checks of a run as a table."""
    found = checks(run)
    wanted = sum(1 for _, verdict, _ in found if verdict == ATTENTION)
    caption = say(
        "Self-checks: {wanted} of {all} want attention",
        wanted=number(wanted, "tally"),
        all=number(len(found), "tally"),
    )
    rows = tuple((Markup(what), _shown(verdict), told) for what, verdict, told in found)
    return Table(caption=caption, head=("Check", "Verdict", "What was found"), rows=rows, align="lnt")


def _shown(verdict: str) -> Markup:
    return Markup('<span class="{}">{}</span>').format(f"verdict {verdict.partition(' ')[0]}", verdict)


def checks(run: MeteredRecord) -> list[Verdict]:
    """Return what was looked at; what fits under none of the heads stands at the end."""
    told = list(dict.fromkeys((*run.checks, *run.footprint.warnings)))
    found = [
        _end(run),
        _metered(run),
        *(_by_others() if run.clock is None else _by_us(run, told)),
        _assumed(run),
        _place(run),
        _spans(run),
        _budget(run),
    ]
    known = (_ASIDE, *_GPUS, *_FAILED, *_OF_OTHERS)
    rest = [text for text in told if not any(part in text for part in known)]
    if run.footprint.energy_kwh is None:
        rest = [text for text in rest if text != f"not metered: {run.footprint.reason}"]
    return [*found, *(("Remark of the meter", ATTENTION, say("{text}.", text=text)) for text in rest)]


def _by_us(run: MeteredRecord, told: Sequence[str]) -> list[Verdict]:
    """Return what only our own meter looks at."""
    settings = "No setting of CodeCarbon in a file or a variable would have changed this."
    return [
        _loss(run),
        _gpus(run, told),
        _overlaps(run),
        _heard(told, "Settings", (_ASIDE,), settings),
        _heard(told, "Samples", _FAILED, "No sample failed, and no sensor was silent."),
        _heard(run.notes, "Journal", _LOST, "Every line of the journal was written and read."),
    ]


def _by_others() -> list[Verdict]:
    """Say that another program metered the run, of what nobody has looked at then."""
    nobody = Markup("Another program metered the run, and its file does not tell.")
    heads = ("Measurement loss", "GPUs seen and metered", "Other meters meanwhile", "Settings", "Samples", "Journal")
    return [(what, NOT_APPLICABLE, nobody) for what in heads]


def _end(run: MeteredRecord) -> Verdict:
    what = "End"
    if run.status == "truncated":
        return what, ATTENTION, Markup("The run ended before its end: the numbers go up to where it was last heard of.")
    if run.exit_code:
        text = say("The command ended by itself, with exit code {code}.", code=number(run.exit_code, "year"))
        return what, ATTENTION, text
    return what, PASS, Markup("The run ended by itself.")


def _metered(run: MeteredRecord) -> Verdict:
    what, foot = "Energy", run.footprint
    if foot.energy_kwh is None:
        return what, ATTENTION, say("The run has no energy: {reason}.", reason=foot.reason or "no reason is known")
    return what, PASS, Markup("Every component that has a sensor gave a number.")


def _loss(run: MeteredRecord) -> Verdict:
    what, loss = "Measurement loss", run.footprint.measurement_loss
    if loss is None:
        return what, NOT_APPLICABLE, Markup("No component was sampled.")
    text = say("{share} of the duration has no sample", share=number(loss, "percent"))
    if loss >= MAX_LOSS:
        return what, ATTENTION, text + ": the energy is a lower bound."
    return what, PASS, text + "."


def _gpus(run: MeteredRecord, told: Sequence[str]) -> Verdict:
    what = "GPUs seen and metered"
    missed = [text for text in (*told, run.footprint.reason or "") if text.startswith(_GPUS)]
    if missed:
        return what, ATTENTION, say("{text}.", text=missed[0].removeprefix("not metered: "))
    metered = [part for part in run.footprint.components if part.name == "gpu" and part.sensor != "none"]
    if metered:
        text = "Torch, where the run had loaded it, saw no GPU beside those metered: {detail}."
        return what, PASS, say(text, detail=metered[0].detail)
    return what, NOT_APPLICABLE, Markup("No GPU was metered, and torch, where the run had loaded it, saw none.")


def _assumed(run: MeteredRecord) -> Verdict:
    what, foot = "Energy that is assumed", run.footprint
    if not foot.energy_kwh:
        return what, NOT_APPLICABLE, Markup("There is no energy.")
    parts = [part for part in foot.components if part.sensor == "constant" and part.energy_kwh]
    share = sum(part.energy_kwh or 0.0 for part in parts) / foot.energy_kwh
    if not parts:
        return what, PASS, Markup("No part of the energy is a constant.")
    text = say(
        "{share} of the energy was not measured but is a constant over time: {which}.",
        share=number(share, "percent"),
        which="; ".join(f"{part.name.upper()}, {part.detail}" for part in parts),
    )
    return what, ATTENTION if share >= WARN_SHARE else PASS, text


def _overlaps(run: MeteredRecord) -> Verdict:
    what = "Other meters meanwhile"
    if not run.overlaps:
        return what, PASS, Markup("No other meter of fairprint ran on this machine.")
    named = Markup(", ").join(
        say("{run} ({when})", run=code(other.run_id), when="before it" if other.began_before else "during it")
        for other in run.overlaps[:MOST_NAMED]
    )
    text = "Each saw the whole machine too, so their energies must not be added up. {count} ran, begun: {named}"
    told = say(text, count=number(len(run.overlaps), "tally"), named=named)
    return what, ATTENTION, told + (Markup(" and more.") if len(run.overlaps) > MOST_NAMED else Markup("."))


def _heard(told: Sequence[str], what: str, signs: Sequence[str], nothing: str) -> Verdict:
    """Return what the meter said of one thing, which it only says where something is the matter."""
    heard = [text for text in told if any(sign in text for sign in signs)]
    if not heard:
        return what, PASS, Markup(nothing)
    return what, ATTENTION, Markup(" ").join(say("{text}.", text=text) for text in heard)


def _place(run: MeteredRecord) -> Verdict:
    what, grid = "Place", run.footprint.grid
    if grid.kg_per_kwh is None:
        return what, ATTENTION, Markup("Where the electricity came from is not known: the emissions span the world.")
    place = grid.cloud_region or ", ".join(part for part in (grid.country_iso_code, grid.region) if part)
    return what, PASS, say("The place was given: {place}.", place=place or "a factor of the user's own")


def _spans(run: MeteredRecord) -> Verdict:
    what = "Spans"
    if not run.spans:
        return what, NOT_APPLICABLE, Markup("No span was marked.")
    ended = sum(1 for span in run.spans if span.status == "done")
    bare = sum(1 for span in run.spans if span.energy_kwh is None)
    text = say(
        "{ended} of {all} spans were done, and {bare} have no energy.",
        ended=number(ended, "tally"),
        all=number(len(run.spans), "tally"),
        bare=number(bare, "tally"),
    )
    return what, PASS if ended == len(run.spans) and not bare else ATTENTION, text


_OUTCOMES = {
    "kept": "The run stayed below the share from which on it would have been warned",
    "warned": "The run stayed below its budget, and above the share from which on it is warned",
    "stopped": "The budget was spent, and the work stopped for it",
    "exceeded": "The budget was spent, and the work went on",
}


def _budget(run: MeteredRecord) -> Verdict:
    what, budget = "Budget", run.budget
    if budget is None:
        return what, NOT_APPLICABLE, Markup("No budget was set.")
    energy = budget.energy_kwh is not None
    limit, units = (budget.energy_kwh, ENERGY) if energy else (budget.emissions_kg, MASS)
    text = say(
        "{outcome}: {limit}{what}, with a warning from {share} on.",
        outcome=_OUTCOMES[budget.outcome],
        limit=absent("no limit is known") if limit is None else number(limit, scaled(limit, units)),
        what="" if energy else " CO₂e",
        share=number(budget.warn_share, "level"),
    )
    text += Markup("").join(say(" {text}.", text=text) for text in budget.told)
    return what, PASS if budget.outcome == "kept" else ATTENTION, text
