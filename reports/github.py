"""A check for GitHub Actions: annotations, the step summary and outputs, which no string of a record can break out of.

A line of a log that begins with ``::`` or holds ``##[`` is a command to the runner. GitHub shows ten annotations of a
type in a step, and drops a summary above 1 MiB as a whole; so each verdict has one annotation, and the summary keeps
below.
"""

import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from fairprint.audit.checks import CheckRecord, LimitVerdict
from fairprint.probes.errors import StoreError
from fairprint.reports.check_table import HEADS, WORDS, closing, notes, numbers, sentences, without_baseline
from fairprint.reports.text import clean

MOST_BYTES = 900_000
_LISTED, _LONGEST = 20, 300
_FIRST = ("error", "fail", "inconclusive", "pass")
_KINDS = {"error": ("error", "could not be evaluated"), "fail": ("error", "failed")}
_KINDS |= {"inconclusive": ("warning", "inconclusive")}
_ACTS = re.compile(r"[\\`*_{}\[\]#!|<>~@&$^]|:(?=//|[\w+-]+:)|(?<=www)\.", re.IGNORECASE)
_LOOKED_FOR = "@#:"
"""Mentions, issues, emoji, addresses: looked for in the text that is shown, where a reference is a character again."""


def annotations(record: CheckRecord) -> list[str]:
    """Return the commands that show the verdicts beside the settings file: one for each kind of verdict."""
    found = []
    for verdict, (kind, words) in _KINDS.items():
        limits = [limit for limit in record.limits if limit.verdict == verdict]
        if limits:
            told = "; ".join(f"{_short(limit.name)}: {_short(limit.reason)}" for limit in limits[:_LISTED])
            more = f"; and {len(limits) - _LISTED} more" if len(limits) > _LISTED else ""
            found.append(_command(kind, f"fairprint: {len(limits)} {words}", told + more, limits[0].place))
    if why := without_baseline(record):
        title = "the baseline cannot be compared" if record.refused else "a baseline is required"
        found.append(_command("error", f"fairprint: {title}", "; ".join(why), ("", None)))
    if record.exit_code == 0 and record.no_baseline:
        found.append(_command("notice", "fairprint: no baseline", record.no_baseline, ("", None)))
    if record.remarks:
        found.append(_command("notice", "fairprint", "; ".join(record.remarks), ("", None)))
    return found


def _short(text: str) -> str:
    return clean(text, _LONGEST)


def _command(kind: str, title: str, message: str, place: tuple[str, int | None]) -> str:
    file, line = place
    properties = {"file": file, "line": "" if line is None else str(line), "title": title}
    told = ",".join(f"{key}={_escaped(clean(value), in_property=True)}" for key, value in properties.items() if value)
    return f"::{kind} {told}::{_escaped(clean(message, 4_000))}"


def _escaped(text: str, *, in_property: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if in_property else text


def step_summary(record: CheckRecord) -> str:
    """Return the check as Markdown of GitHub, below 900 kB: what does not pass comes first, and the rest is counted."""
    head = [
        f"## fairprint: {WORDS[record.verdict]}",
        "",
        markdown(closing(record)),
        "",
        f"Run {markdown(record.run.run_id)} of {markdown(record.run.model.name)}"
        + (f", against {markdown(record.baseline.run_id)}" if record.baseline is not None else ""),
        "",
    ]
    listed = [f"**The baseline cannot be compared**: {markdown(why)}" for why in record.refused]
    listed += [markdown(note) for note in notes(record)]
    heads = [
        "",
        f"| verdict | limit | {' | '.join(HEADS)} |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    ordered = sorted(record.limits, key=lambda limit: _FIRST.index(limit.verdict))

    def row(limit: LimitVerdict) -> str:
        cells = (WORDS[limit.verdict], markdown(limit.name), *map(markdown, numbers(limit)))
        return "| " + " | ".join(cells) + " |"

    def detail(limit: LimitVerdict) -> str:
        name, *rest = sentences(limit)
        lines = [f"- {markdown(sentence)}" for sentence in rest]
        return "\n".join([f"**{WORDS[limit.verdict]}** {markdown(name)}", "", *lines, ""])

    text, left = _within("\n".join(head), (f"- {each}" for each in listed), MOST_BYTES // 4)
    text += f"\n- {left:,} more notes are not shown." if left else ""
    text, left = _within("\n".join([text, *heads]), map(row, ordered), MOST_BYTES // 2)
    text += f"\n\n{left:,} more limits are not shown." if left else ""
    text += "\n\n<details><summary>What each verdict rests on</summary>\n"
    text, left = _within(text, map(detail, ordered), MOST_BYTES - 200)
    return text + (f"\n{left:,} more are not shown.\n" if left else "") + "\n</details>\n"


def _within(text: str, parts: Iterable[str], most: int) -> tuple[str, int]:
    """Add parts while they fit, and count those that do not."""
    size, kept, left = len(text.encode()), [text], 0
    for part in parts:
        size += len(part.encode()) + 1
        if left or size > most:
            left += 1
        else:
            kept.append(part)
    return "\n".join(kept), left


def markdown(text: str) -> str:
    r"""Return text that Markdown shows as it is: no markup, table cell, mention, link or image begins in it.

    >>> markdown("a|b <img> @ada"), markdown("see www.example.org")
    ('a&#124;b &#60;img&#62; &#64;&#8203;ada', 'see www&#8203;&#46;example.org')
    """

    def still(found: re.Match[str]) -> str:
        # a space of no width keeps apart what would be found together
        reference = f"&#{ord(found[0])};"
        if found[0] == ".":
            return f"&#8203;{reference}"
        return f"{reference}&#8203;" if found[0] in _LOOKED_FOR else reference

    return _ACTS.sub(still, clean(text))


def outputs(record: CheckRecord) -> dict[str, str]:
    """Return the outputs of a step: verdict, exit code, and how many limits failed."""
    failed = sum(limit.verdict == "fail" for limit in record.limits)
    return {"verdict": record.verdict, "exit-code": str(record.exit_code), "failed": str(failed)}


def publish(record: CheckRecord, environment: Mapping[str, str]) -> None:
    """Add the summary and the outputs to the files that GitHub names; nothing where it names none.

    Raises:
        StoreError: such a file cannot be written.
    """
    told = {"GITHUB_STEP_SUMMARY": step_summary(record), "GITHUB_OUTPUT": ""}
    for key, value in outputs(record).items():
        mark = f"end_{secrets.token_hex(8)}"
        told["GITHUB_OUTPUT"] += f"{key}<<{mark}\n{value}\n{mark}\n"
    for name, text in told.items():
        if path := environment.get(name):
            try:
                with Path(path).open("a", encoding="utf-8") as file:
                    file.write(text)
            except OSError as error:
                raise StoreError(f"{name} cannot be written: {error.strerror}") from None
