"""What is said of a comparison of two runs, in sentences."""

from markupsafe import Markup

from fairprint.audit.comparisons import ComparisonRecord, Difference, Side
from fairprint.reports import classified, numbers, utility
from fairprint.reports.comparison_views import SetView, cells, detectable, kind_of_side, label_of, set_views
from fairprint.reports.numbers import number
from fairprint.reports.text import code, name, say
from fairprint.reports.wording import FALSE_DISCOVERY_RATE, title_of

SHOWN = ("moved away from neutral", "moved towards neutral", "better", "worse", "differs")
"""Verdicts that say that there is a difference."""
_PLURAL = {"differs": "differ, with neither side shown to be the better one"}
MOST_TOLD = 6
"""Differences up to which each set's is told in a sentence of its own in the summary."""


def main_sentence(view: SetView) -> Markup:
    """Return what the main metric of a set did, with its interval and what that allows to say."""
    found = view.main
    if found is None:
        return say("Nothing of “{set}” could be compared.", set=view.title)
    title = label_of(found, view.probe)
    if found.value is None:
        return say("{title}: {absent}.", title=title, absent=numbers.absent(found.reason))
    told = cells(found)
    if found.identical:
        text = "{title}: {a} in both runs; all {items} answers are the same."
        return say(text, title=title, items=number(found.items, "count"), **told)
    text = "{title}: from {a} to {b}, a difference of {difference} ({level} interval {interval})."
    said = say(text, title=title, level=number(found.level, "level"), **told)
    return said + " " + _said(found)


def _said(found: Difference) -> Markup:
    """Say what a difference shows."""
    neutral = number(found.neutral, kind_of_side(found), found.neutral_why)
    sentences = {
        "moved away from neutral": "It moved away from {neutral}, what equal treatment would give.",
        "moved towards neutral": "It moved towards {neutral}, what equal treatment would give.",
        "differs": "There is a difference; that either run is farther from {neutral} than the other is not shown."
        if found.neutral is not None
        else "There is a difference, of which neither end is the better one.",
        "better": "Run B does better.",
        "worse": "Run B does worse.",
        "not shown": "That there is a difference is not shown.",
    }
    said = say(sentences.get(found.verdict, ""), neutral=neutral)
    if found.verdict == "not shown" and found.detectable is not None:
        said += say(" One of {least} would be found in four of five cases.", least=detectable(found))
    return said


def summary(record: ComparisonRecord) -> list[tuple[str, list[Markup]]]:
    """Return the sentences of the first screen by topic."""
    views = set_views(record)
    about = [view for view in views if not utility.applies(view.probe)]
    topics: list[tuple[str, list[Markup]]] = []
    if record.identical:
        topics.append(("Identical answers", [identical(record)]))
    elif len(about) <= MOST_TOLD:
        topics += [(view.title.striptags(), [main_sentence(view)]) for view in about]
    else:
        told = [view for view in about if view.main is not None and view.main.verdict in SHOWN]
        topics += [(view.title.striptags(), [main_sentence(view)]) for view in told]
        rest = [view.title for view in about if view not in told]
        if rest:
            said = say("No difference of the main metric is shown in: {sets}.", sets=Markup("; ").join(rest))
            topics.append(("Not shown", [said]))
    if not record.identical:
        topics.append(("All tests together", [tally(record)]))
    topics.append(("Utility", guards(record)))
    return topics


def identical(record: ComparisonRecord) -> Markup:
    """Say that both runs answered the same."""
    count = sum(max(each.items for each in view.every) for view in set_views(record) if view.every)
    text = "Both runs gave identical answers to all {count} items, so that every difference is exactly 0."
    return say(text, count=number(count, "tally"))


def tally(record: ComparisonRecord) -> Markup:
    """Say how many of the tested differences are shown, and which way they go."""
    tested = [each for each in record.differences if each.q_value is not None]
    shown = [each for each in tested if each.verdict in SHOWN]
    text = (
        "{shown} of {all} tested differences are shown at a false discovery rate of {rate} (method of Benjamini and "
        "Hochberg over all of them; {holm} by that of Holm)"
    )
    said = say(
        text,
        shown=number(len(shown), "tally"),
        all=number(record.family, "count"),
        rate=numbers.KINDS["level"](FALSE_DISCOVERY_RATE),
        holm=number(sum(each.holm is not None and each.holm < FALSE_DISCOVERY_RATE for each in tested), "tally"),
    )
    kinds = [(verdict, sum(each.verdict == verdict for each in shown)) for verdict in SHOWN]
    told = [
        say("{count} {verdict}", count=number(count, "tally"), verdict=Markup(_PLURAL.get(kind, kind)))
        for kind, count in kinds
        if count
    ]
    return said + (say(": {told}.", told=Markup(", ").join(told)) if told else Markup("."))


def guards(record: ComparisonRecord) -> list[Markup]:
    """Say whether the model of run B still does as well: on plain texts, or how often a classifier is right."""
    found = [view for view in set_views(record) if utility.applies(view.probe)]
    if found:
        return [_guard(view) for view in found]
    labelled = [view for view in set_views(record) if classified.things(view.probe)]
    right = [(view, each) for view in labelled for each in view.every if (each.metric, each.scope) == _RIGHT]
    if right:
        return [say("{set}: ", set=view.title) + _moved(each) for view, each in right]
    text = (
        "No set that both runs asked tells whether one model is worse altogether: audit both with {texts} as well, or"
    )
    text += " with labelled texts or images of your own where they are classifiers."
    return [say(text, texts=code("--probes neutral-sentences"))]


_RIGHT = ("accuracy", "all")


def _moved(found: Difference) -> Markup:
    if found.value is None:
        return numbers.absent(found.reason)
    told, title = cells(found), title_of(found.metric).lower()
    if found.identical:
        return say("{title} {a} in both, by identical answers.", title=title, **told)
    text = "{title} from {a} to {b}, a difference of {difference} ({level} interval {interval}). "
    return say(text, title=title, level=number(found.level, "level"), **told) + _said(found)


def _guard(view: SetView) -> Markup:
    by_metric = {each.metric: each for each in view.every}
    said = say("{set}: ", set=view.title)
    if view.main is None:
        return said + numbers.absent("nothing could be compared")
    said += _moved(view.main)
    perplexity = by_metric.get(utility.PERPLEXITY)
    if perplexity is None or perplexity.value is None or perplexity.identical:
        return said
    text = " Perplexity: {a} in run A, {b} in run B."
    return said + say(text, **{key: cells(perplexity)[key] for key in ("a", "b")})


def cost(record: ComparisonRecord) -> list[Markup]:
    """Say what either run cost, and how the two compare, or why they do not."""
    feet = [(side, run.footprint) for side, run in (("A", record.a), ("B", record.b))]
    said = []
    for side, foot in feet:
        unit = numbers.scaled(foot.energy_kwh, numbers.ENERGY)
        text = "Run {side} took {time} and used {energy} ({bounds})."
        bounds = numbers.interval(foot.energy_low_kwh, foot.energy_high_kwh, unit, foot.reason)
        parts = {
            "time": number(foot.duration_s, "duration"),
            "energy": number(foot.energy_kwh, unit, foot.reason),
            "bounds": bounds,
        }
        said.append(say(text, side=Markup(side), **parts))
    if record.costs_apart:
        reasons = Markup("; ").join(name(reason, limit=400) for reason in record.costs_apart)
        said.append(say("The two energies are not compared: {reasons}.", reasons=reasons))
    else:
        said.append(Markup("Both asked the same on the same machine, so that the two energies compare."))
    return said


def about(side: Side) -> list[tuple[str, Markup]]:
    """Return what a reader needs to know of one run, as rows."""
    model, environment = side.model, side.environment
    return [
        ("Run", code(side.run_id)),
        ("Model", name(model.name)),
        ("Revision", code(model.revision) if model.revision else numbers.absent("not known")),
        ("Hash", code(model.sha256)),
        ("Kind", say("{type}, {kind}", type=model.model_type, kind=model.kind)),
        ("Weights", say("{weights}, {dtype}", weights=model.weights, dtype=model.dtype)),
        ("Status", name(side.status)),
        ("Started", name(side.started_at)),
        (
            "Machine",
            say("{cpu}, {device}, {system}", cpu=environment.cpu, device=environment.device, system=environment.system),
        ),
        ("fairprint", code(environment.fairprint)),
    ]


def warnings(view: SetView) -> list[str]:
    """Return what to take care of in a set's differences, each once."""
    return list(dict.fromkeys(warning for each in view.every for warning in each.warnings))


def estimands(record: ComparisonRecord) -> list[tuple[str, str]]:
    """Return of what the intervals speak, with the sets of which each holds."""
    titles = {probe.name: probe.title for probe in record.probes}
    found: dict[str, dict[str, None]] = {}
    for each in record.differences:
        found.setdefault(each.estimand, {})[titles[each.probe_set]] = None
    return [(text, "; ".join(sets)) for text, sets in found.items()]
