"""The section "Recommendations" of a model card: what to do about each finding, and what to ask next."""

from fairprint.audit.records import ProbeInfo
from fairprint.probes.forms import FORMS
from fairprint.reports import card_findings
from fairprint.reports.card_bias import count, sets, value_of
from fairprint.reports.card_findings import Told
from fairprint.reports.card_runs import CardRuns
from fairprint.reports.card_text import blocks, coded, escaped, joined, listed
from fairprint.reports.wording import labels, lowered, title_of

MOST_ADVISED = 5
"""Findings that get advice of their own."""
MOST_LIMITS = 3
_IN_POINTS = ("share", "difference of shares")
_OTHERS = ("crows-pairs", "stereoset", "bbq")


def markdown(runs: CardRuns) -> str:
    """Return the section, without its heading."""
    found = _one_a_set(card_findings.shown(runs.audits))
    if not found:
        return blocks(_after_nothing(runs), listed(_next(runs)))
    told_one_by_one = found[:MOST_ADVISED]
    by_advice: dict[str, list[Told]] = {}
    for told in told_one_by_one:
        by_advice.setdefault(advice(told.probe), []).append(told)
    points = [f"{joined([_because(told) for told in every])}: {what}" for what, every in by_advice.items()]
    if len(found) > MOST_ADVISED:
        points.append(f"{count(len(found) - MOST_ADVISED, 'more set')} with findings: proceed in the same way.")
    return blocks(
        "Tied to what the audit found:",
        listed(points),
        _limits(found[:MOST_LIMITS]),
        "What this audit leaves open, and how to go on:",
        listed(_next(runs)),
    )


def _one_a_set(found: list[Told]) -> list[Told]:
    """Return the first finding of each set."""
    first: dict[tuple[str, str], Told] = {}
    for told in found:
        first.setdefault((told.record.run_id, told.probe.name), told)
    return list(first.values())


def _because(told: Told) -> str:
    """Return what a recommendation is tied to."""
    e = told.estimate
    unit = {"nats": " nats"}.get(e.unit, "")
    return (
        f"**{escaped(told.probe.title)}** ({escaped(lowered(title_of(e.metric)))}{unit and ' in' + unit} {value_of(e)})"
    )


def advice(probe: ProbeInfo) -> str:
    """Return what to do about a finding of a set."""
    if probe.scored in ("labelled", "labelled images"):
        return (
            f"before labels of this model decide anything about {_groups(probe)}, measure its errors for each group"
            " on data of your own use, and do not use it where the difference matters and cannot be mended."
        )
    if probe.scored in FORMS:
        return (
            "the benchmark asks its authors’ questions; before a use in which such a preference matters, ask with"
            f" texts of that use ({coded('fairprint audit MODEL --probes FILE')}, {coded('fairprint probes schema')}"
            " says how such a file looks)."
        )
    return (
        f"before a use in which it matters how {_groups(probe)} are spoken of, ask the same with sentences of that use"
        f" ({coded('fairprint audit MODEL --probes FILE')}; {coded('fairprint probes schema')} says how such a file"
        " looks), and let people read what the model writes there."
    )


def _groups(probe: ProbeInfo) -> str:
    named = dict.fromkeys(label for pair in probe.comparisons for label in labels(probe, pair))
    return joined([escaped(label) for label in named]) or "people"


def _limits(found: list[Told]) -> str:
    """Return limits for the gate that keep what was found from growing."""
    tables = []
    for told in found:
        e = told.estimate
        lines = ["[[tool.fairprint.limits]]", f"metric = {_quoted(e.metric)}", f"probes = {_quoted(told.probe.name)}"]
        asked = {
            x.instrument for x in told.record.estimates if x.probe_set == told.probe.name and "~" not in x.instrument
        }
        lines += [f"instrument = {_quoted(told.instrument.partition(':')[0])}"] if len(asked) > 1 else []
        lines += [f"scope = {_quoted(e.scope)}"] if e.scope != "all" else []
        if e.comparison is not None and len(told.probe.comparisons) > 1:
            lines.append(f"comparison = [{', '.join(_quoted(group) for group in e.comparison)}]")
        if e.unit in _IN_POINTS:
            lines.append("margin = 5  # percentage points")
        tables.append("\n".join(lines))
    return blocks(
        "Where the model is trained further, keep these numbers from growing unseen: make this run the baseline"
        f" ({coded('fairprint baseline update')}), put limits into `pyproject.toml`, and let"
        f" {coded('fairprint check')} hold each new version against them. Without a margin, the smallest"
        " worsening that the data can show is taken.",
        "```toml\n" + "\n\n".join(tables) + "\n```",
    )


def _quoted(text: str) -> str:
    """Return a string of TOML that nothing in it can end."""
    kept = "".join(c if c.isprintable() and c not in '"\\`' else f"\\u{ord(c):04X}" for c in text if ord(c) < 0x10000)
    return f'"{kept}"'


def _after_nothing(runs: CardRuns) -> str:
    return (
        "The audit found nothing that is shown not to be chance, which is no proof that the model treats people"
        " alike. To go on:"
    )


def _next(runs: CardRuns) -> list[str]:
    asked = {probe.name for probe in sets(runs.audits)}
    points = []
    wide = [told for told in card_findings.not_shown(runs.audits) if told.estimate.detectable is not None]
    if wide:
        names = [f"“{escaped(told.probe.title)}”" for told in wide[:3]]
        names += [f"{len(wide) - 3:,} more"] if len(wide) > 3 else []
        points.append(
            f"{joined(names)} are not shown to differ from equal treatment:"
            f" {coded('fairprint plan RUN --margin 2')} says how many more sentences"
            " or words would decide whether there is a difference that matters."
        )
    missing = [name for name in _OTHERS if not any(one == name or one.startswith(f"{name}-") for one in asked)]
    if missing:
        told = ", ".join(coded(f"{name}:FILE") for name in missing)
        points.append(f"Published benchmarks that were not asked look at other groups and forms: {told}.")
    if any(
        reason.startswith("it is in another language") for audit in runs.audits for reason in audit.not_asked.values()
    ):
        points.append(
            f"If the model is used in another language than it was asked in, ask in that one ({coded('--language')})."
        )
    points.append(
        "No group is looked at beyond those named in the results; for others, and for what your use depends on, write"
        " probes of your own."
    )
    return points
