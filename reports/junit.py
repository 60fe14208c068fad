"""A check as JUnit XML, by the rules of the strictest reader, the schema of Jenkins' xUnit plugin.

There ``properties`` stand in a ``testsuite`` alone, numbers are plain decimals, and ``testsuites`` counts nothing that
was skipped.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from fairprint.audit.checks import CheckRecord, LimitVerdict
from fairprint.reports.check_table import closing, notes, sentences, without_baseline
from fairprint.reports.text import clean

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FIELDS = (
    *("metric", "unit", "kind", "direction", "verdict", "value", "baseline", "worsening", "bound", "limit"),
    *("p_value", "holm", "detectable", "items", "missing"),
)
_TAGS = {"fail": "failure", "error": "error", "inconclusive": "skipped"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    name: str
    tag: str | None
    message: str
    text: str


def to_junit(record: CheckRecord) -> str:
    """Return a check as JUnit XML: a failure for each limit that fails, an error or a skipped case for others."""
    cases = [*(_of(limit) for limit in record.limits), *_of_the_whole(record)]
    counted = {tag: str(sum(case.tag == tag for case in cases)) for tag in ("failure", "error", "skipped")}
    counts = {"tests": str(len(cases)), "failures": counted["failure"], "errors": counted["error"]}
    root = ET.Element("testsuites", {"name": "fairprint", **counts, "time": "0"})
    whole = {"skipped": counted["skipped"], "time": "0", "timestamp": record.checked_at.removesuffix("Z")}
    suite = ET.SubElement(root, "testsuite", {"name": "fairprint", **counts, **whole, "hostname": "localhost"})
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(record):
        ET.SubElement(properties, "property", name=legal(name), value=legal(value))
    for case in cases:
        element = ET.SubElement(suite, "testcase", classname="fairprint.check", name=legal(case.name), time="0")
        if case.tag == "skipped":
            ET.SubElement(element, "skipped", message=legal(case.message))
        elif case.tag is not None:
            found = ET.SubElement(element, case.tag, message=legal(case.message), type=case.tag)
            found.text = legal(case.text)
        ET.SubElement(element, "system-out").text = legal(case.text)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def legal(text: str) -> str:
    """Return text with what XML cannot hold, and what hides, named as U+XXXX; line breaks stay."""
    shown = "\n".join(clean(line) for line in text.split("\n"))
    return _ILLEGAL.sub(lambda found: f"[U+{ord(found[0]):04X}]", shown)


def _of(limit: LimitVerdict) -> _Case:
    told = sentences(limit)
    return _Case(name=limit.name, tag=_TAGS.get(limit.verdict), message=limit.reason, text="\n".join(told[1:]))


def _of_the_whole(record: CheckRecord) -> Iterator[_Case]:
    if why := without_baseline(record):
        text = "\n".join([*why, *record.remarks])
        yield _Case(name="the baseline can be compared", tag="error", message="; ".join(why), text=text)
    if record.strict and any(limit.verdict == "inconclusive" for limit in record.limits):
        text = "\n".join([closing(record), *notes(record)])
        yield _Case(name="strict: every limit is decided", tag="failure", message="some are inconclusive", text=text)


def _properties(record: CheckRecord) -> Iterator[tuple[str, str]]:
    yield "run", record.run.run_id
    yield "model", record.run.model.name
    yield "model.sha256", record.run.model.sha256
    yield "baseline", record.baseline.run_id if record.baseline is not None else record.no_baseline or "none"
    yield "fairprint", record.fairprint
    for limit in record.limits:
        for field in _FIELDS:
            value = getattr(limit, field)
            if value is not None:
                yield f"{limit.name}.{field}", decimal(value) if isinstance(value, float) else str(value)
        for factor, count in limit.units.items():
            yield f"{limit.name}.units.{factor}", str(count)


def decimal(value: float) -> str:
    """Return a number with nine figures and no exponent.

    >>> decimal(1.5e-7), decimal(-0.25), decimal(3.0)
    ('0.00000015', '-0.25', '3')
    """
    told = format(Decimal(f"{value:.9g}"), "f")
    return told.rstrip("0").rstrip(".") if "." in told else told
