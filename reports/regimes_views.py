"""What is said of several ways to learn one task, as plain data: sentences and tables for a page and the terminal."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from fairprint.audit.records import RunRecord
from fairprint.audit.regimes import Found, Gap, Regime, Regimes
from fairprint.audit.regimes_reuse import NO_PRETRAINING, Reuse, Use
from fairprint.audit.together import Amount
from fairprint.reports import selection
from fairprint.reports.ledger_views import told
from fairprint.reports.numbers import ENERGY, MASS, absent, interval, kind_of, number, scaled
from fairprint.reports.tables import Table, row_label, slug
from fairprint.reports.text import code, name, say
from fairprint.reports.wording import COST_INTERVAL

_SHARES = ("accuracy", "f1", "precision", "recall", "exact_match")
"""Metrics that are written in per cent, as long as they are shares."""
TRAINED_OUT = 0.02
"""How far a training may stay behind the fine-tuning on what it was trained on, and still count as trained out."""
CANCELLED = 0.01
"""Bounds of a ratio that are closer to it than this share of it would only say it again."""
KNEW, OPTIMISED = "What pretraining knew", "What is optimisation"
QUALITY_INTERVAL = "95\u00a0% interval"


def metric_of(found: Found) -> str:
    """Return what a quality is, with the part of the data that it is of."""
    return f"{found.metric} on {found.part}" if found.part else found.metric


def is_share(found: Found) -> bool:
    """Whether a quality is written in per cent."""
    known = [abs(x) for x in (found.value, found.low, found.high) if x is not None]
    return found.metric in _SHARES and max(known, default=0.0) <= 1.0


def quality_told(found: Found) -> Markup:
    """Return a quality with its interval; why there is none stands with the remarks."""
    return _with_bounds(found, "percent+1" if is_share(found) else "plain")


def difference_told(found: Found) -> Markup:
    """Return how much better one is than another, with its interval; why there is none stands with the remarks."""
    return _with_bounds(found, "score" if is_share(found) else "plain")


def _with_bounds(found: Found, kind: str) -> Markup:
    if found.value is None:
        return absent(found.reason)
    value = number(found.value, kind)
    if found.low is None or found.high is None:
        return say("{value} (no interval)", value=value)
    return say("{value} ({bounds})", value=value, bounds=interval(found.low, found.high, kind))


def made_of(found: Found) -> Markup:
    """Return what a quality rests on: its items, and of how many units they are made."""
    if found.items is None:
        return absent(None)
    items = say("{n} items", n=number(found.items, "count"))
    if not found.units:
        return items
    units = (say("{kind} {n}", kind=kind, n=number(count, "count")) for kind, count in found.units.items())
    return say("{items} ({units})", items=items, units=Markup(", ").join(units))


def title(of: Regimes) -> Markup:
    """Return the title of the section."""
    return say("Ways to learn the same task: {task}", task=name(of.task))


def anchor(place: str, part: str = "") -> str:
    """Return the id of the section, or of a part of it."""
    return slug(place, "regimes", part)


# sentences


def lead(of: Regimes) -> list[tuple[str, list[Markup]]]:
    """Return the sentences of the first screen, by topic."""
    return [
        ("What each took", [_took(regime) for regime in of.regimes]),
        (KNEW, list(_knew(of.knew))),
        (OPTIMISED, list(_optimised(of.optimised))),
    ]


def _took(regime: Regime) -> Markup:
    cost = regime.cost
    text = "“{name}” ({purpose}, {steps}) took {time} and {energy} of electricity at the machine{whole}; {mass}."
    mass = say("emissions: {mass} CO₂e", mass=told(cost.emissions_kg, MASS))
    return say(
        text,
        name=name(regime.record.name),
        purpose=regime.record.purpose or "purpose not said",
        steps=say("{n} steps", n=number(regime.steps, "count", "not counted")),
        time=number(cost.duration_s, "duration"),
        energy=told(cost.energy_kwh, ENERGY),
        whole=Markup(" (all of the run, as no training is marked in it)") if cost.whole else Markup(""),
        mass=mass,
    )


def _knew(gap: Gap | None) -> Iterable[Markup]:
    if gap is None:
        yield Markup("This needs two runs: one for fine-tuning, and one for training from scratch.")
        return
    yield say(
        "“{tuned}” ({m} steps) is held against “{scratch}”, the training from scratch with the most steps ({n}). {why}",
        tuned=name(gap.second.record.name),
        m=number(gap.second.steps, "count", "not counted"),
        scratch=name(gap.first.record.name),
        n=number(gap.first.steps, "count", "not counted"),
        why=_trained_longer(gap),
    )
    yield from _learnt(gap)
    yield from (_shown(found, gap) for found in _to_tell(gap))
    yield _ratio(gap)


def _learnt(gap: Gap) -> Iterable[Markup]:
    """Say what both know of what they were trained on, where it was noted of a part that is called so."""
    for mine in gap.first.qualities:
        other = quality_in(gap.second, (mine.metric, mine.part))
        if not mine.part.startswith("training") or other is None or mine.value is None or other.value is None:
            continue
        kinds = ["percent+1" if is_share(found) else "plain" for found in (mine, other)]
        yield say(
            "At its end its {what} is {mine}, that of the fine-tuning {other}{so}.",
            what=name(metric_of(mine)),
            mine=number(mine.value, kinds[0]),
            other=number(other.value, kinds[1]),
            so=Markup(": it was not trained out, and that is a part of what separates them")
            if is_share(mine) and mine.value < other.value - TRAINED_OUT
            else Markup(""),
        )


def _trained_longer(gap: Gap) -> Markup:
    """Say whether the training from scratch had more time to learn than the fine-tuning."""
    scratch, tuned = gap.first.steps, gap.second.steps
    if scratch is None or tuned is None:
        return Markup("Whether it was trained for long enough is not known here.")
    if scratch > tuned:
        return Markup("So what separates them is not that it had fewer steps.")
    return Markup(
        "It had no more of them, so that what separates them may be that it was trained for too short a time."
    )


def _optimised(gap: Gap | None) -> Iterable[Markup]:
    if gap is None:
        yield Markup(
            "This needs two trainings from scratch: one with as many steps as the fine-tuning, and one with more."
        )
        return
    yield say(
        "“{first}” had as many steps as the fine-tuning; “{second}” differs from it only by going on.",
        first=name(gap.first.record.name),
        second=name(gap.second.record.name),
    )
    yield from (_shown(found, gap) for found in _to_tell(gap))
    yield _ratio(gap)


def _to_tell(gap: Gap) -> Sequence[Found]:
    """Return the differences with an interval; all of them where none has one."""
    return [found for found in gap.differences if found.low is not None] or gap.differences


def _shown(found: Found, gap: Gap) -> Markup:
    what = name(metric_of(found))
    if found.value is None or found.low is None or found.high is None:
        why = name(found.reason or "no reason is known")
        return say("In {what} the difference is {told}: {why}.", what=what, told=difference_told(found), why=why)
    if found.low > 0:
        text = "“{second}” is better in {what}: {value} ({level} {bounds}, p {p}), on the same {items}."
    elif found.high < 0:
        text = "“{second}” is worse in {what}: {value} ({level} {bounds}, p {p}), on the same {items}."
    else:
        text = "A difference in {what} is not shown: {value}, and the interval includes zero ({level} {bounds}, p {p}),"
        text += " on the same {items}."
    kind = "score" if is_share(found) else "plain"
    return say(
        text,
        second=name(gap.second.record.name),
        what=what,
        value=number(found.value, kind),
        level=QUALITY_INTERVAL,
        bounds=interval(found.low, found.high, kind),
        p=number(found.p_value, "p", "not tested"),
        items=made_of(found),
    )


def _times(ratio: Amount, kind: str) -> Markup:
    """Return a ratio of two energies: where the errors of the sensors cancel, words for bounds that say it again."""
    if ratio.value is None or ratio.low is None or ratio.high is None:
        return told(ratio, kind)
    if max(ratio.high - ratio.value, ratio.value - ratio.low) >= CANCELLED * abs(ratio.value):
        return told(ratio, kind)
    return say("{value} (sensor errors cancel)", value=number(ratio.value, kind))


def _ratio(gap: Gap) -> Markup:
    if gap.energy_ratio.value is None:
        return say("How many times the energy it took is {absent}.", absent=absent(gap.energy_ratio.reason))
    return say(
        "“{second}” took {ratio} times the energy of “{first}”.",
        second=name(gap.second.record.name),
        ratio=_times(gap.energy_ratio, "plain"),
        first=name(gap.first.record.name),
    )


# tables


def regimes_table(of: Regimes) -> Table:
    """Return each way with what it took and how good it became, the cheapest first."""
    columns = quality_columns(of)
    heads = [f"{metric} on {part}" if part else metric for metric, part in columns]
    rows = tuple(
        (
            say("{n}. {name} {id}", n=number(n, "tally"), name=name(regime.record.name, limit=60), id=_id(regime)),
            name(regime.record.purpose or "not said"),
            number(regime.steps, "count", "not counted"),
            number(regime.cost.duration_s, "duration"),
            told(regime.cost.energy_kwh, ENERGY),
            told(regime.cost.emissions_kg, MASS),
            *(_quality(regime, column) for column in columns),
        )
        for n, regime in enumerate(of.regimes, start=1)
    )
    caption = Markup(
        "Each way to learn the task, the one with the least energy first: its training alone, without the tests after"
        f" it. Energy and emissions with their {COST_INTERVAL}, qualities with their {QUALITY_INTERVAL}"
    )
    head = ("Run", "Purpose", "Steps", "Duration", "Energy", "CO₂e", *(head[:1].upper() + head[1:] for head in heads))
    return Table(caption=caption, head=head, rows=rows, align="llrrnn" + "n" * len(columns))


def remarks(of: Regimes) -> list[Markup]:
    """Return why qualities have no interval, and what is to be known of others, each once."""
    found: dict[str, dict[str, None]] = {}
    for regime in of.regimes:
        for quality in regime.qualities:
            for text in [quality.reason] if quality.reason else quality.warnings:
                found.setdefault(text, {})[metric_of(quality)] = None
    return [say("{what}: {text}.", what=", ".join(some), text=text) for text, some in found.items()]


def quality_columns(of: Regimes) -> list[tuple[str, str]]:
    """Return metric and part of all qualities, those with items first."""
    every = [found for regime in of.regimes for found in regime.qualities]
    ordered = sorted(every, key=lambda found: found.low is None)
    return list(dict.fromkeys((found.metric, found.part) for found in ordered))


def quality_in(regime: Regime, column: tuple[str, str]) -> Found | None:
    """Return a quality of a way by its metric and part."""
    return next((found for found in regime.qualities if (found.metric, found.part) == column), None)


def _quality(regime: Regime, column: tuple[str, str]) -> Markup:
    found = quality_in(regime, column)
    return absent("it was not noted") if found is None else quality_told(found)


def _id(regime: Regime) -> Markup:
    return code(regime.record.run_id)


def gaps_table(of: Regimes) -> Table | None:
    """Return how much better one way is than another, on the same items; None where no two are compared."""
    rows = [
        (
            Markup(title),
            name(metric_of(found)),
            difference_told(found),
            number(found.p_value, "p"),
            made_of(found),
            say("{second} against {first}", second=gap.second.record.name, first=gap.first.record.name),
            name("; ".join([found.reason] if found.reason else found.warnings)),
        )
        for title, gap in ((KNEW, of.knew), (OPTIMISED, of.optimised))
        if gap is not None
        for found in sorted(gap.differences, key=lambda found: found.low is None)
    ]
    if not rows:
        return None
    caption = Markup(
        f"How much better the first named is, with its {QUALITY_INTERVAL}, paired by item. The intervals are for other"
        " units of the same kinds (a jackknife that leaves out each unit of either kind in turn), not for other seeds:"
        " each way was trained once"
    )
    head = ("Gap", "Quality", "Better by", "p", "Items and their units", "Between", "Remark")
    return Table(caption=caption, head=head, rows=tuple(rows), align="llnrntt")


def bias_table(of: Regimes, audits: Sequence[RunRecord]) -> Table | None:
    """Return the headline estimates of the audits that name a run of these as one that their model began from."""
    rows = []
    for regime in of.regimes:
        for record in audits:
            if regime.record.run_id not in record.lineage:
                continue
            for estimate in selection.compared(record):
                kind, probe = kind_of(estimate), selection.probe_of(record, estimate)
                rows.append(
                    (
                        name(regime.record.name),
                        name(record.plan.model.name, limit=60),
                        say("{set}: {row}", set=probe.title, row=row_label(estimate, probe)),
                        number(estimate.value, kind, estimate.reason),
                        interval(estimate.low, estimate.high, kind, estimate.reason),
                        number(estimate.items, "count"),
                        name(estimate.instrument),
                    )
                )
    if not rows:
        return None
    caption = Markup("What audits of the trained models found, each by itself: no difference is tested here")
    head = ("Run", "Model", "Metric", "Value", "Interval", "Items", "Instrument")
    return Table(caption=caption, head=head, rows=tuple(rows), align="lllrnrt")


# reuse and use


def reuse_lead(of: Reuse, uses: Sequence[Use]) -> list[tuple[str, list[Markup]]]:
    """Return the sentences about what a shared base saves, and about training beside use."""
    return [
        ("When pretraining comes back", list(_pays(of))),
        ("Whose the pretraining is", list(_shares(of))),
        ("Training beside use", [_used(use) for use in uses]),
    ]


def _pays(of: Reuse) -> Iterable[Markup]:
    if of.gap is None or of.saved.value is None:
        yield say("What a fine-tuning saves is {absent}.", absent=absent(of.saved.reason))
        return
    text = "Beside the training from scratch, a fine-tuning saves {saved}."
    if of.saved.value <= 0:
        text = "Beside the training from scratch, a fine-tuning saves no energy: E_scr \u2212 E_ft is {saved}."
    yield say(text, saved=told(of.saved, ENERGY))
    if of.break_even.value is None:
        yield say("From how many tasks on a shared base saves energy is {why}.", why=absent(of.break_even.reason))
        return
    yield say(
        "A pretraining of {given}, as it was given, comes back after {n} tasks: n* = E_pre / (E_scr − E_ft).",
        given=given(of.pretraining_kwh, NO_PRETRAINING),
        n=told(of.break_even, "about"),
    )


def _shares(of: Reuse) -> Iterable[Markup]:
    if of.attributional.value is None:
        text = "Attributional, as a share that each use bears (E_pre / N): {absent}."
        yield say(text, absent=absent(of.attributional.reason))
    else:
        yield say(
            "Attributional: shared evenly over {n} uses, each bears {share} of the pretraining (E_pre / N, both as they"
            " were given). It divides what was spent once among all who profit.",
            n=number(of.reuses, "planned"),
            share=given(of.attributional.value, None),
        )
    yield say(
        "Consequential: {zero}. A public base was trained already; one use more or less changes nothing in that.",
        zero=number(0.0, "Wh"),
    )


def given(energy_kwh: float | None, reason: str | None) -> Markup:
    """Return an energy that was given and has no interval."""
    return number(energy_kwh, scaled(energy_kwh, ENERGY), reason)


def _used(use: Use) -> Markup:
    run = name(use.regime.record.name)
    if use.answers.value is None:
        text = "“{run}”: after how many answers their energy is that of the training is {absent}."
        return say(text, run=run, absent=absent(use.answers.reason))
    return say(
        "“{run}”: {n} answers take as much energy as the training did, at {query} each ({how}).",
        run=run,
        n=_times(use.answers, "about"),
        query=given(use.query.value, use.query.reason),
        how=Markup("as it was given") if use.given else Markup("as in the tests after the training, many at once"),
    )
