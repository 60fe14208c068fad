"""What is said of estimates and costs: the title and meaning of each metric, and finished sentences."""

from collections.abc import Mapping

from markupsafe import Markup

from fairprint.audit.records import Estimate, Footprint, ProbeInfo, RunRecord
from fairprint.reports import benchmarks, classified, nearness, utility
from fairprint.reports.numbers import ENERGY, MASS, NBSP, absent, interval, kind_of, number, scaled
from fairprint.reports.text import clean, linked, name, say

FALSE_DISCOVERY_RATE = 0.05
COST_INTERVAL = f"90{NBSP}% interval"
"""What the schema of ``Footprint`` says its intervals are."""

METRICS: dict[str, tuple[str, str]] = {
    "stereotype_score": (
        "Stereotype score",
        "The share of items in which the model gives the stereotyped version a higher probability than its counterpart;"
        " a tie counts half, and items without a claimed direction are left out (after Nangia et al. 2020 and Nadeem et"
        " al. 2021).",
    ),
    "stereotype_score_centred": (
        "Stereotype score, centred",
        "The same share after the mean gap of each template is taken off, so that a model that prefers one group in"
        " every sentence does not look stereotyped, or free of stereotypes, for that reason alone.",
    ),
    "signed_effect": (
        "Signed effect",
        "The mean difference of log probability between the stereotyped version and its counterpart, in nats;"
        " positive is towards the stereotype.",
    ),
    "association_effect": (
        "Association effect size d",
        "The mean gap of the words that are expected with the first group minus that of the words expected with the"
        " second, over the standard deviation of the gaps of all of them: d of WEAT (Caliskan et al. 2017), and of SEAT"
        " where the words stand in sentences (May et al. 2019). A gap is a word’s mean cosine similarity with the words"
        " of the first group minus that with the words of the second. d lies between −2 and 2, and says how cleanly the"
        " two kinds of words separate, not how far apart they lie.",
    ),
    "signed_effect_dz": (
        "Standardised effect",
        "The signed effect divided by the standard deviation of the differences (d_z; Cohen 1988): how regular it is,"
        " not how large.",
    ),
    "group_gap": (
        "Group gap",
        "The mean of log P(first group) minus log P(second group), in nats. The exponential of a gap says how many"
        " times as likely the one version is; it holds no claim about which direction would be a stereotype.",
    ),
    "valence_gap": (
        "Valence gap",
        "The mean gap of the words that speak well of people minus the mean gap of those that speak ill, in nats:"
        " negative means that the first group is named in worse company than the second. What the groups’ names do to"
        " any text that follows cancels out.",
    ),
    "group_gap_centred": (
        "Gap against the other words",
        "The group gap of a word minus the mean gap of all words in the same template: which words lean more to one"
        " group than the others do, whatever the sentence and the groups’ own words do by themselves.",
    ),
    "covariate_correlation": (
        "Correlation with the published figure",
        "Pearson’s correlation over words between a published figure of each word and the word’s mean gap towards the"
        " group of that figure, in the manner of Caliskan et al. (2017). It shows whether the model follows the figure,"
        " not whether it should.",
    ),
    "candidate_mass": (
        "Candidate mass",
        "The share of the model's probability that falls on the compared words. Where it is small, the comparison"
        " speaks of words that the model would hardly have written.",
    ),
    **classified.METRICS,
    **benchmarks.METRICS,
    **utility.METRICS,
}
"""Title and meaning of each metric, by name."""


def title_of(metric: str) -> str:
    """Return the title of a metric."""
    return METRICS[metric][0] if metric in METRICS else clean(metric)


def lowered(title: str) -> str:
    """Return a title as it stands in a sentence; names and abbreviations stay.

    >>> lowered("Stereotype score (SS)"), lowered("CrowS-Pairs score")
    ('stereotype score (SS)', 'CrowS-Pairs score')
    """
    first = title.partition(" ")[0]
    return title if first[1:] != first[1:].lower() else title[:1].lower() + title[1:]


_MEANINGS = nearness.MEANINGS | classified.MEANINGS


def meaning_of(metric: str, record: RunRecord) -> str:
    """Return what a metric means in the forms of sets and in the units that it has in a run."""
    form = {probe.name: probe.scored for probe in record.probes}
    kinds = dict.fromkeys((form[e.probe_set], e.unit) for e in record.estimates if e.metric == metric)
    told = [
        benchmarks.MEANINGS.get((metric, scored)) or _MEANINGS.get((metric, unit)) or METRICS.get(metric, ("", ""))[1]
        for scored, unit in kinds
    ]
    return " ".join(text for text in dict.fromkeys(told) if text) or "Described by the method below."


def labels(probe: ProbeInfo, pair: tuple[str, str] | None = None) -> tuple[str, str]:
    """Return the labels of two compared groups: those of the set's first comparison where no pair is given."""
    first, second = pair or next(iter(probe.comparisons), ("", ""))
    return probe.labels.get(first, first), probe.labels.get(second, second)


def includes_neutral(estimate: Estimate) -> bool | None:
    """Say whether the interval includes the neutral value, or None where one of them is missing."""
    if estimate.low is None or estimate.high is None or estimate.neutral is None:
        return None
    return estimate.low <= estimate.neutral <= estimate.high


def shows(estimate: Estimate) -> bool | None:
    """Say whether an estimate is shown to differ from its neutral value; None where that cannot be said.

    That is so where its test survives the correction for all tests of its family; of records without a q-value, where
    the interval leaves the neutral value out.
    """
    inside = includes_neutral(estimate)
    if inside is None or estimate.q_value is None:
        return None if inside is None else not inside
    return estimate.q_value < FALSE_DISCOVERY_RATE


def lost(estimate: Estimate) -> bool:
    """Say whether the interval leaves the neutral value out, but the test does not survive the correction."""
    return includes_neutral(estimate) is False and shows(estimate) is False


_FINDINGS = {
    "stereotype_score": "In {value} of {items} {things} ({interval}) the model prefers the stereotyped version;"
    " with equal treatment it would be {neutral}.",
    "stereotype_score_centred": "Compared within each template, the model prefers the stereotyped version in {value} of"
    " {items} {things} ({interval}); with equal treatment it would be {neutral}.",
    "signed_effect": "The {towards} version is typically {times} times as likely as the {other} one"
    " ({value} nats over {items} {things}; {interval}).",
    "group_gap": "The model finds a sentence typically {times} times as likely when it speaks of {first} as when it"
    " speaks of {second} ({value} nats over {items} {things}; {interval}).",
    "valence_gap": "Words that speak well of people, rather than ill, are typically {times} times as likely after"
    " naming {first} as after naming {second} ({value} nats over {items} items; {interval}).",
    "covariate_correlation": "From word to word, the model’s preference for {figured} has a correlation of {value}"
    " with this figure: {covariate} ({interval}).{direction}",
    "candidate_mass": "The compared words hold {value} of the model’s probability ({interval}).",
}
_GAP_OF = {
    "rest": "The model finds what follows typically {times} times as likely after naming {first} as after naming"
    " {second} ({value} nats over {items} {things}; {interval}).",
    "target": "The model finds a translation typically {times} times as likely with {first} as with {second}"
    " ({value} nats over {items} {things}; {interval}).",
}
"""Sentences of the group gap, by what a probe set scores."""
_IN_UNITS = {
    "association_effect": "In how much nearer they lie to {first} than to {second}, the two kinds of words are {value}"
    " standard deviations apart ({items} {things}; {interval}); positive is the expected direction.",
    "group_gap": "The {unit} is {value} for {first} against {second} over {items} {things} ({interval}).",
    "signed_effect": "Towards the stereotype the {unit} differs by {value} over {items} {things} ({interval}).",
    "valence_gap": "Between words that speak well of people and words that speak ill, the {unit} differs by {value}"
    " for {first} against {second} ({interval}).",
}
_SIDED = ("group_gap", "valence_gap", "signed_effect")
_OTHER = "The {title} is {value} over {items} {things} ({interval})."
_OPEN = {"covariate_correlation": "a relation", "association_effect": "an association"}


def finding(estimate: Estimate, probe: ProbeInfo, *, cautious: bool = True, bare: bool = False) -> Markup:
    """Return an estimate of a whole probe set as finished sentences, with its interval and what that allows to say.

    Args:
        estimate: what is told.
        probe: its set.
        cautious: say its warnings too.
        bare: leave out what the interval allows to say, and what others published.
    """
    title, kind = title_of(estimate.metric), kind_of(estimate)
    if estimate.value is None:
        return say(
            "The {title} of “{set}” is {absent}.", title=lowered(title), set=probe.title, absent=absent(estimate.reason)
        )
    told = say(_sentence(estimate, probe), **_parts(estimate, probe, kind))
    told += Markup("") if bare else _reservations(estimate, kind)
    return told + cautions(estimate) if cautious else told


def _parts(estimate: Estimate, probe: ProbeInfo, kind: str) -> Mapping[str, str]:
    bounds = interval(estimate.low, estimate.high, kind, estimate.reason)
    first, second = labels(probe, estimate.comparison)
    towards, other, along, against = "stereotyped", "opposite", "along", "against"
    # a ratio is said of the side that it favours; a difference in other units keeps its sign
    if estimate.unit == "nats" and (estimate.value or 0) < 0 and estimate.metric in _SIDED:
        first, second, towards, other = second, first, other, towards
    if (estimate.value or 0) < 0:
        along, against = against, along
    return {
        "value": number(estimate.value, kind),
        "items": number(estimate.items, "count"),
        "things": Markup(things(probe)),
        "terms": number(estimate.units.get("lexeme"), "count"),
        "label": name(classified.label_of(estimate) or "lexicon"),
        "interval": say("{level} interval {bounds}", level=number(estimate.level, "level"), bounds=bounds),
        "neutral": number(estimate.neutral, kind, estimate.neutral_why),
        "times": number(estimate.value, "times"),
        "towards": towards,
        "other": other,
        "along": along,
        "against": against,
        "first": name(first),
        "second": name(second),
        "covariate": probe.covariate or "a published figure",
        "figured": name(probe.labels.get(probe.covariate_group or "", "the group of a published figure")),
        "direction": _direction(estimate),
        "title": lowered(title_of(estimate.metric)),
        "unit": estimate.unit,
    }


def things(probe: ProbeInfo) -> str:
    """Return what the items of a set are called."""
    return benchmarks.things(probe) or classified.things(probe) or nearness.things(probe)


def _sentence(estimate: Estimate, probe: ProbeInfo) -> str:
    if benchmarks.is_form(probe):
        return benchmarks.sentence(estimate, probe) or _OTHER
    if (estimate.metric, estimate.unit) in classified.FINDINGS:
        return classified.FINDINGS[estimate.metric, estimate.unit]
    if estimate.unit not in ("nats", "share", "correlation"):
        return nearness.FINDINGS.get((estimate.metric, estimate.unit)) or _IN_UNITS.get(estimate.metric, _OTHER)
    if estimate.metric == "group_gap":
        return _GAP_OF.get(probe.scored, _FINDINGS["group_gap"])
    return _FINDINGS.get(estimate.metric, _OTHER)


def _direction(estimate: Estimate) -> str:
    """Say whether the model follows a published figure, where the interval allows to say so."""
    if not shows(estimate):
        return ""
    follows = (estimate.value or 0) > 0
    return " The preference follows the figure." if follows else " The preference runs against the figure."


def _reservations(estimate: Estimate, kind: str) -> Markup:
    parts = []
    if includes_neutral(estimate):
        apart = estimate.unit in (nearness.COSINE, *classified.UNITS)
        shown = _OPEN.get(estimate.metric, "a difference" if apart else "a preference")
        neutral = number(estimate.neutral, kind)
        way = "" if estimate.metric in _OPEN else " either way"
        parts.append(
            say(
                " This interval includes {neutral}, so the audit does not show {shown}{way}.",
                neutral=neutral,
                shown=shown,
                way=way,
            )
        )
    elif lost(estimate):
        text = " After the correction for all tests of this report that is not shown (q = {q})."
        parts.append(say(text, q=number(estimate.q_value, "p")))
    if estimate.published is not None:
        text = " Published for the same model and the same instrument: {value} ({source})."
        parts.append(say(text, value=number(estimate.published.value, kind), source=linked(estimate.published.source)))
    return Markup("").join(parts)


def cautions(estimate: Estimate) -> Markup:
    """Return the warnings of an estimate as sentences."""
    return Markup("").join(say(" Caution: {warning}.", warning=w.rstrip(".")) for w in estimate.warnings)


_SENSORS = {"counter": "a counter", "load model": "a load model", "constant": "a constant"}


def sensors(footprint: Footprint) -> str:
    """Return which instruments the energy comes from, such as "CPU by a load model, RAM by a constant"."""
    used = [p for p in footprint.components if p.energy_kwh is not None]
    return ", ".join(f"{p.name.upper()} by {_SENSORS.get(p.sensor, p.sensor)}" for p in used) or "no sensor"


def cost(footprint: Footprint) -> Markup:
    """Return what a run cost as finished sentences: time, energy with its sensors, emissions with the grid factor."""
    took = say("The run took {time}", time=number(footprint.duration_s, "duration"))
    if footprint.energy_kwh is None:
        return took + say("; its energy is {absent}.", absent=absent(footprint.reason))
    unit = scaled(footprint.energy_kwh, ENERGY)
    energy = say(
        " and the machine used {energy} of electricity meanwhile ({level} {bounds}; {sensors}).",
        energy=number(footprint.energy_kwh, unit),
        level=COST_INTERVAL,
        bounds=interval(footprint.energy_low_kwh, footprint.energy_high_kwh, unit, footprint.reason),
        sensors=sensors(footprint),
    )
    return took + energy + Markup(" ") + emissions(footprint)


def emissions(footprint: Footprint) -> Markup:
    """Return the emissions as one finished sentence."""
    kg, low, high = footprint.emissions_kg, footprint.emissions_low_kg, footprint.emissions_high_kg
    unit = scaled(kg if kg is not None else high, MASS)
    bounds = interval(low, high, unit, footprint.reason)
    if kg is None:
        if low is None or high is None:
            return say("The emissions are {absent}.", absent=absent(footprint.reason))
        return say("Where it ran is not known, so the emissions are somewhere from {bounds} CO₂e.", bounds=bounds)
    return say(
        "At {factor} ({source}{year}) that is {mass} CO₂e ({level} {bounds}).",
        factor=number(footprint.grid.kg_per_kwh, "intensity", footprint.reason),
        source=footprint.grid.source,
        year=Markup(", {}").format(number(footprint.grid.year, "year")) if footprint.grid.year is not None else "",
        mass=number(kg, unit),
        level=COST_INTERVAL,
        bounds=bounds,
    )
