"""What an HTML report holds to, whatever its record says."""

import base64
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from sample_record import KOREAN, estimate, footprint, sample_record, suite_record

from fairprint.audit.records import Estimate, GroupInfo, RunRecord
from fairprint.probes.errors import StoreError
from fairprint.probes.instruments import INSTRUMENTS
from fairprint.reports import figures, gap_views, numbers, tables, text, wording
from fairprint.reports.html import render_report, write_report
from fairprint.reports.sidecar import Sidecar

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(1)> {{ 7*7 }} \u202egnp.\u2066\u200b\x00\ufeff & \" '"
)
VOID = {"meta", "img", "br", "link", "input"}
OURS = {"90 %", "5 %", "SHA-256", "base64"}
"""Digits of our own in running text: the level of the cost interval, the false discovery rate, names of codes."""


class Page(HTMLParser):
    """The elements of a page in order, each with its tag, attributes, text, and the tags around it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[dict[str, Any]] = []
        self.open: list[dict[str, Any]] = []
        self.source = html
        self.lines = [0, *(found.end() for found in re.finditer("\n", html))]
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.feed(html)
        self.close()
        assert not self.open, "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = {"tag": tag, "attrs": dict(attrs), "text": "", "path": tuple(e["tag"] for e in self.open)}
        element |= {"begin": self._place(), "within": tuple(self.open)}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        element = self.open.pop()
        assert element["tag"] == tag
        element["html"] = self.source[element["begin"] : self._place()]

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(e["tag"] for e in self.open), data))
        for element in self.open:
            element["text"] += data

    def _place(self) -> int:
        line, column = self.getpos()
        return self.lines[line - 1] + column

    def all(self, tag: str) -> list[dict[str, Any]]:
        return [e for e in self.elements if e["tag"] == tag]


def said_by(parsed: Page) -> str:
    """Return what the page says, without its frame."""
    return " ".join(parsed.all("main")[0]["text"].split()).replace(numbers.NBSP, " ")


def rows_of(parsed: Page, caption: str) -> list[list[str]]:
    """Return the cells of the one table whose caption begins so, without its head."""
    (found,) = (t for t in parsed.all("table") if t["text"].strip().startswith(caption))
    cells: list[list[str]] = []
    for element in (e for e in parsed.elements if found in e["within"] and e["tag"] in ("tr", "th", "td")):
        if element["tag"] == "tr":
            cells.append([])
        else:
            cells[-1].append(" ".join(element["text"].split()).replace(numbers.NBSP, " "))
    return cells[1:]


RECORDS = {"sample": sample_record, "suite": suite_record}
each_record = pytest.mark.parametrize("which", RECORDS)


@cache
def rendered(which: str = "sample") -> str:
    return render_report([RECORDS[which]()])


@cache
def page(which: str = "sample") -> Page:
    return Page(rendered(which))


@cache
def sample() -> RunRecord:
    return sample_record()


@cache
def several() -> tuple[Page, ...]:
    return (Page(render_report([small(), small(status="partial")])), Page(render_report([suite_record(), small()])))


def small(**changes: Any) -> RunRecord:
    record = sample()
    kept = tuple(e for e in record.estimates if not e.scope.startswith(("lexeme:", "category:")))
    return record.model_copy(update={"estimates": kept, **changes})


def leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from (key, *leaves(part))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part)
    else:
        yield value


def text_of(html: str) -> str:
    return " ".join(Page(html).all("main")[0]["text"].split())


def words_of(record: RunRecord, metric: str) -> dict[str, list[Estimate]]:
    """Return the estimates of single words by instrument."""
    found: dict[str, list[Estimate]] = {}
    for e in record.estimates:
        if e.metric == metric and e.scope.startswith("lexeme:"):
            found.setdefault(e.instrument, []).append(e)
    return found


def counts(record: RunRecord) -> set[int]:
    """Return all that a report may count: sets, sentences, words, words that are shown or found, items, findings."""
    heads = []
    for label in dict.fromkeys(e.instrument for e in record.estimates):
        mine = [e for e in record.estimates if e.instrument == label and e.scope == "all"]
        heads.append(next(e for m in ("stereotype_score", "group_gap") for e in mine if e.metric == m))
    shown = [e for e in heads if e.value is not None and not e.low <= e.neutral <= e.high]
    found = {len(record.probes), sum(p.sentences for p in record.probes)}
    found |= {len(heads), len(shown), len(heads) - len(shown)}
    for metric in ("group_gap", "group_gap_centred"):
        for rows in words_of(record, metric).values():
            first = [e for e in rows if e.comparison == rows[0].comparison]
            found |= {len(rows), min(len(rows), 24), min(len(first), 20), len(first)}
            found.add(sum(1 for e in first if e.q_value < 0.05))
    for count in Counter(h.probe_set for h in record.highlights).values():
        found |= {count, min(count, 12)}
    return found


@each_record
def test_every_number_stands_in_the_record_and_is_rounded_by_its_rule(which: str) -> None:
    record = RECORDS[which]()
    known = {float(x) for x in leaves(record.model_dump()) if isinstance(x, int | float) and not isinstance(x, bool)}
    counted = counts(record)
    shown = page(which).all("data")
    assert len(shown) > 500
    for element in shown:
        raw, kind = element["attrs"]["value"], element["attrs"]["data-as"]
        value = int(raw) if re.fullmatch(r"-?\d+", raw) else float(raw)
        assert element["text"] == numbers.KINDS[kind](value)
        assert value in (counted if kind == "tally" else known), f"{raw} ({kind}) is not in the record"


@each_record
def test_no_digit_stands_outside_a_number_or_a_string_of_the_record(which: str) -> None:
    strings = [text.clean(x) for x in leaves(RECORDS[which]().model_dump()) if isinstance(x, str)]
    parts = {part for s in strings for part in (s, *re.split(r"(https://\S+)", s))}
    parts |= OURS | {meaning for _, meaning in wording.METRICS.values()} | {i.summary for i in INSTRUMENTS.values()}
    known = re.compile("|".join(re.escape(s) for s in sorted(parts, key=len, reverse=True) if re.search(r"\d", s)))
    for path, shown in page(which).texts:
        if not {"data", "code", "script", "style"} & set(path):
            rest = known.sub("", shown.replace(numbers.NBSP, " "))
            assert not re.search(r"\d", rest), f"{shown!r} holds a digit of unknown origin"


@each_record
def test_a_count_beside_a_table_is_that_of_its_rows(which: str) -> None:
    record = RECORDS[which]()
    every = {len(rows) for m in ("group_gap", "group_gap_centred") for rows in words_of(record, m).values()}
    tallied = [t for t in page(which).all("table") if '"tally"' in t["html"].partition("</caption>")[0]]
    assert tallied
    for table in tallied:
        caption, _, body = table["html"].partition("</caption>")
        shown, *whole = (int(n) for n in re.findall(r'<data value="(\d+)" data-as="tally">', caption))
        assert shown == body.count('<th scope="row">')
        assert set(whole) <= every


def test_hostile_strings_stay_text() -> None:
    base = sample_record()
    groups = tuple(
        GroupInfo(id=i, label=label) for i, label in (("male", HOSTILE), ("female", "b"), ("other", HOSTILE))
    )
    probe = base.probes[0].model_copy(
        update={
            "title": HOSTILE,
            "summary": HOSTILE,
            "groups": groups,
            "comparisons": (("male", "female"), ("other", "female")),
            "language": HOSTILE,
            "cannot_show": (HOSTILE,),
            "random_factors": (HOSTILE,),
        }
        | {"sources": (f"https://example.org/{HOSTILE}",), "covariate": HOSTILE, "lexeme_covariates": {HOSTILE: 3.0}}
    )
    label = "gendered-occupations / fill"
    scopes = (f"lexeme:{HOSTILE}", "lexeme:$x^$", "lexeme:護士", f"category:{HOSTILE}", "all")
    metrics = ("group_gap", "group_gap_centred", "valence_gap", HOSTILE)
    estimates = [
        estimate(metric, label, scope, 0.4, 0.2, warnings=(HOSTILE,), q_value=0.01, comparison=pair)
        for metric in metrics
        for scope in scopes
        for pair in probe.comparisons
    ]
    estimates.append(estimate("stereotype_score", label, "all", None, 0.1, reason=HOSTILE, units={HOSTILE: 2}))
    item = base.highlights[0].model_copy(update={"text": {"male": HOSTILE, "female": "x" * 100_000}, "item": HOSTILE})
    model = base.plan.model.model_copy(update={"name": HOSTILE + "\ud800", "notes": (HOSTILE,)})
    plan = base.plan.model_copy(update={"model": model, "probe_hashes": {HOSTILE: HOSTILE}})
    changed = {"plan": plan, "probes": (probe,), "estimates": tuple(estimates), "highlights": (item,)}
    changed |= {"notes": (HOSTILE,), "not_asked": {HOSTILE: HOSTILE}, "run_id": HOSTILE}
    sidecar = Sidecar(name=f"{HOSTILE}.items.jsonl", sha256=HOSTILE, rows={HOSTILE: 2})
    html = render_report([base.model_copy(update=changed)], sidecar)
    parsed = Page(html)

    scripts = parsed.all("script")
    assert [s["attrs"] for s in scripts] == [{"type": "application/gzip", "id": "fairprint-records"}, {}]
    assert all(e["attrs"]["src"].startswith("data:image/svg+xml;base64,") for e in parsed.all("img"))
    assert not [name for e in parsed.elements for name in e["attrs"] if name.startswith("on")]
    assert {unicodedata.category(c) for c in html if c != "\n"}.isdisjoint({"Cc", "Cf", "Cs"})
    assert "{{ 7*7 }}" in parsed.all("h1")[0]["text"] and "[U+202E]" in html and "[U+D800]" in html
    assert "x" * 3000 not in html
    assert {e["attrs"]["lang"] for e in parsed.elements if "lang" in e["attrs"]} == {"en"}
    (beside,) = (a["attrs"]["href"] for a in parsed.all("a") if not a["attrs"]["href"].startswith(("#", "https://")))
    assert re.fullmatch(r"[A-Za-z0-9%._/-]+", beside) and not beside.startswith("/")
    assert json.loads(gzip.decompress(base64.b64decode(scripts[0]["text"])))[0]["notes"] == [HOSTILE]
    assert scripts[1]["text"] == page().all("script")[1]["text"]


def test_hostile_strings_stay_text_inside_figures() -> None:
    rows = [
        (label, estimate("group_gap", "a / b", "all", 0.4, 0.2)) for label in (HOSTILE + "\ud800", "$x^$", "--> ]]>")
    ]
    for drawn in (
        figures.dot_plot(rows, x_label=HOSTILE),
        figures.lexeme_plot(rows, x_label=HOSTILE),
        figures.scatter(rows, [1.0, 2.0, 3.0], x_label="", y_label=HOSTILE),
    ):
        svg = drawn.decode()
        assert "<script" not in svg and "<img" not in svg and "\u202e" not in svg and "[U+202E]" in svg
        assert not {e.tag.partition("}")[2] for e in ElementTree.fromstring(drawn).iter()} & {"script", "foreignObject"}
    labels = [e.text for e in ElementTree.fromstring(figures.dot_plot(rows, x_label="x")).iter() if e.text]
    assert "$x^$" in labels and "--> ]]>" in labels


@each_record
def test_the_same_record_gives_the_same_bytes_everywhere(which: str, tmp_path: Path) -> None:
    assert render_report([RECORDS[which]()]) == rendered(which)
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nsvg.fonttype: path\n")
    code = f"import sys; from pathlib import Path; from sample_record import {which}_record as s\n"
    code += "from fairprint.reports.html import write_report as w; w([s()], Path(sys.argv[1]))"
    target = tmp_path / "other.html"
    env = {"PYTHONHASHSEED": "4711", "TZ": "Asia/Kathmandu", "PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run([sys.executable, "-c", code, str(target)], check=True, cwd=tmp_path, env={**os.environ, **env})
    assert target.read_bytes() == rendered(which).encode()


def test_the_embedded_records_carry_no_clock_and_no_operating_system() -> None:
    packed = base64.b64decode(page().all("script")[0]["text"])
    assert packed[:4] == b"\x1f\x8b\x08\x00", "gzip without the name of a file"
    assert packed[4:8] == bytes(4) and packed[9] == 255


@each_record
def test_nothing_is_loaded_from_outside(which: str) -> None:
    html = rendered(which)
    for element in page(which).elements:
        for name, value in element["attrs"].items():
            if name in ("src", "srcset", "poster", "data", "action", "background"):
                assert element["tag"] == "img" and value.startswith("data:")
            if name == "href":
                assert element["tag"] == "a" and value.startswith(("#", "https://"))
    assert "url(" not in html and "@import" not in html and not page(which).all("link")


def test_the_policy_allows_our_style_and_our_script_and_nothing_else() -> None:
    policy = next(m["attrs"]["content"] for m in page().all("meta") if "http-equiv" in m["attrs"])
    (style,), (_, script) = page().all("style"), page().all("script")
    hashes = [base64.b64encode(hashlib.sha256(e["text"].encode()).digest()).decode() for e in (style, script)]
    assert [part.strip() for part in policy.split(";")] == [
        "default-src 'none'",
        f"style-src 'sha256-{hashes[0]}'",
        f"script-src 'sha256-{hashes[1]}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    first = min(page().source.index(tag) for tag in ("<style", "<script", "<img"))
    assert page().source.index("Content-Security-Policy") < first
    assert not [e for e in page().elements if "style" in e["attrs"]]


def test_the_script_asks_for_nothing_writes_no_markup_and_keeps_nothing() -> None:
    script = page().all("script")[1]["text"]
    assert len(script) < 4000 and script.startswith('"use strict";')
    forbidden = r"fetch|XMLHttp|WebSocket|EventSource|sendBeacon|import|eval|Function\(|setTimeout|innerHTML|outerHTML"
    forbidden += r"|insertAdjacent|document\.write|cookie|Storage|indexedDB|location|open\(|postMessage|src\b|href"
    assert not re.search(forbidden, script)


def test_headings_go_down_one_level_at_a_time() -> None:
    for parsed in (page(), page("suite"), *several()):
        levels = [int(e["tag"][1]) for e in parsed.elements if re.fullmatch("h[1-6]", e["tag"])]
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(b <= a + 1 for a, b in pairwise(levels))


def test_every_table_has_a_caption_and_scoped_headers() -> None:
    tables = page().all("table")
    assert len(tables) == len(page().all("caption")) > 10
    assert all(c["text"].strip() for c in page().all("caption"))
    assert {th["attrs"].get("scope") for th in page().all("th")} == {"col", "row"}
    regions = [e for e in page().elements if e["attrs"].get("role") == "region"]
    assert all(r["attrs"]["tabindex"] == "0" and r["attrs"]["aria-label"].strip() for r in regions)


def drawn_labels(figure: dict[str, Any]) -> list[str]:
    """Return the texts that a figure shows, checking on the way that it is valid XML."""
    svg = base64.b64decode(re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', figure["html"])[1])
    found = [e for e in ElementTree.fromstring(svg).iter() if e.tag.endswith(("}text", "}tspan"))]
    return [e.text.strip() for e in found if e.text and e.text.strip()]


FIGURES = {
    "sample": [
        "Stereotype score by category",
        "The gap of each word against a published figure",
        "Words that lean more to men or to women than the others do",
        "Group gap by category",
        "Words that lean more to men or to women than the others do",
    ],
    "suite": [
        "Stereotype score of each probe set",
        "Stereotype score by category",
        "The gap of each word against a published figure",
        "Words that lean more to men or to women than the others do",
        "Group gap by category",
        "Words that lean more to men or to women than the others do",
        "Stereotype score against Americans",
        "Valence gap against Americans",
        "Stereotype score against Christians",
        "Valence gap against Christians",
        "Group gap by category",
        "Words that lean more to men or to women than the others do",
    ],
}


@each_record
def test_every_figure_says_what_it_shows_and_has_its_numbers_as_a_table(which: str) -> None:
    parsed = page(which)
    found = parsed.all("figure")
    captions, images = parsed.all("figcaption"), parsed.all("img")
    assert len(found) == len(captions) == len(images)
    assert [c["text"].strip().partition(".")[0] for c in captions] == FIGURES[which]
    assert all(len(img["attrs"]["alt"]) > 30 and img["attrs"]["alt"].endswith(".") for img in images)
    for figure, caption in zip(found, captions, strict=True):
        inside = [t for t in parsed.all("table") if figure in t["within"]]
        if caption["text"].strip().startswith("Words that lean"):
            assert inside == [] and caption["text"].strip().endswith("The numbers stand below, word by word.")
            section = figure["within"][-1]
            after = [t for t in parsed.all("table") if section in t["within"] and t["begin"] > figure["begin"]]
            inside = [t for t in after if "mean of all words" in t["text"].partition("Word\n")[0]]
        (table,) = inside
        assert {"details"} <= set(table["path"])
        named = re.findall(r'<th scope="row">(.*?)</th>', table["html"])
        rows = {re.sub("<[^>]*>", "", row) for row in named}
        if "published figure" in caption["text"]:
            assert len(rows) == 60
        else:
            labels = [x for x in drawn_labels(figure) if re.search(r"[^\W\d]", x) and not x.startswith("←")]
            shown = [x for x in labels if x not in ("Stereotype score", "not available")]
            assert len(shown) >= 3
            assert [x for x in shown if not any(row.startswith(x) for row in rows)] == []


def test_a_figure_without_a_whole_has_no_diamond() -> None:
    captions = {c["text"].strip().partition(".")[0]: c["text"] for c in page("suite").all("figcaption")}
    assert "the diamond is all parts taken together, 288 items" in captions["Stereotype score against Americans"]
    assert "diamond" not in captions["Valence gap against Americans"]
    assert "diamond" not in captions["Stereotype score of each probe set"]
    for title, colours in (
        ("Valence gap against Americans", {"#0072b2"}),
        ("Stereotype score against", {"#0072b2", "#d55e00"}),
    ):
        (figure, *_) = (f for f in page("suite").all("figure") if title in f["text"])
        svg = base64.b64decode(re.search(r"base64,([^\"]+)", figure["html"])[1]).decode().lower()
        assert set(re.findall("#0072b2|#d55e00", svg)) == colours


def test_a_figure_of_words_shows_only_words_of_the_table_after_it() -> None:
    name = "he-was-very / likelihood"
    pairs = (("male", "female"), ("other", "male"), ("other", "female"))
    groups = (*sample().probes[1].groups, GroupInfo(id="other", label="others"))
    probe = sample().probes[1].model_copy(update={"groups": groups, "comparisons": pairs, "lexemes": 30})
    rows = [
        # the gaps of the first comparison lie between those of the others, and the last words have none
        estimate(
            "group_gap_centred", name, f"lexeme:w{i:02}", None if i > 26 else (i - 13) * size, 0.1, comparison=pair
        )
        for pair, size in zip(pairs, (0.01, 1.0, 2.0), strict=True)
        for i in range(30)
    ]
    whole = estimate("group_gap", name, "all", 0.1, 0.2)
    parsed = Page(render_report([small(probes=(probe,), estimates=(whole, *rows), highlights=())]))
    (figure,) = parsed.all("figure")
    shown = [x for x in drawn_labels(figure) if re.fullmatch(r"w\d\d", x)]
    assert shown == [f"w{i:02}" for i in (*range(26, 16, -1), *range(9, -1, -1))]
    (table,) = (t for t in parsed.all("table") if "mean of all words" in t["text"])
    assert all(f"{word}, men against women" in table["text"] for word in shown)
    assert "w26, others against women" in table["text"] and "w27" not in table["text"]


def test_rounding_moves_no_line_of_a_figure_and_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        (label, estimate("group_gap", "a / b", "all", 0.123, 0.0417)) for label in ("0.125", "-1.2345678", "12.5000")
    ]
    rounded = figures.dot_plot(rows, x_label="0.33333")
    monkeypatch.setattr(figures, "_rounded", lambda tag: tag.group())
    exact = figures.dot_plot(rows, x_label="0.33333")
    texts = [[e.text for e in ElementTree.fromstring(svg).iter() if e.text] for svg in (rounded, exact)]
    assert texts[0] == texts[1] and {"0.125", "-1.2345678", "12.5000", "0.33333"} <= set(texts[0])
    number = r"-?\d+(?:\.\d+)?"
    tags = ["".join(re.findall("<[^>]*>", svg.decode())) for svg in (rounded, exact)]
    assert re.sub(number, "#", tags[0]) == re.sub(number, "#", tags[1])
    pairs = list(zip(*([float(x) for x in re.findall(number, t)] for t in tags), strict=True))
    assert any(a != b for a, b in pairs) and all(abs(a - b) <= 0.005001 for a, b in pairs)
    assert len(rounded) < len(exact)


def test_a_long_label_does_not_stick_out_of_its_figure() -> None:
    rows = [("x" * 40, estimate("valence_gap", "a / b", "all", 0.4, 0.2))]
    for label in ("short", "← worse company\u2003gap in nats\u2003better company →"):
        svg = ElementTree.fromstring(figures.dot_plot(rows, x_label=label))
        (text_,) = (e for e in svg.iter() if e.text == label)
        sheet = "".join(e.text or "" for e in svg.iter() if e.tag.endswith("style"))
        look = text_.get("style") or sheet.partition(f".{text_.get('class')}{{")[2].partition("}")[0]
        width, end = float(svg.get("viewBox").split()[2]), "text-anchor: end" in look
        assert "text-anchor" in look
        x = float(text_.get("x"))
        reach = x if end else x + 2.3 * len(label)
        assert reach <= width, label


def test_ids_are_unique_and_every_link_arrives() -> None:
    name, run = "a report.items.jsonl", suite_record().run_id
    beside = Page(render_report([suite_record()], Sidecar(name=name, sha256="0" * 64, rows={run: 1234})))
    for parsed in (page(), page("suite"), beside, *several()):
        ids = [e["attrs"]["id"] for e in parsed.elements if "id" in e["attrs"]]
        assert len(ids) == len(set(ids))
        links = [e["attrs"]["href"] for e in parsed.all("a")]
        wanted = [link[1:] for link in links if link.startswith("#")]
        wanted += [e["attrs"]["aria-labelledby"] for e in parsed.elements if "aria-labelledby" in e["attrs"]]
        assert set(wanted) <= set(ids) and len(wanted) > 10
        relative = [link for link in links if not link.startswith(("#", "https://"))]
        assert relative == (["a%20report.items.jsonl"] if parsed is beside else [])


@pytest.mark.parametrize("run", range(2))
def test_the_contents_name_every_part_that_is_there(run: int) -> None:
    parsed = (page("suite"), Page(render_report([small(estimates=(), highlights=(), probes=())])))[run]
    (nav,) = parsed.all("nav")
    linked = [a["text"] for a in parsed.all("a") if nav in a["within"]]
    every = [
        "Summary",
        "Findings",
        "Largest gaps",
        "Not measured",
        "Energy and emissions",
        "Methods",
        "Reproducibility",
    ]
    assert linked == (every if run == 0 else [every[0], every[4], every[6]])
    assert len([e for e in parsed.all("h2")]) == len(linked)


def test_words_that_look_alike_in_an_id_get_ids_of_their_own() -> None:
    assert len({tables.slug("f", word) for word in ("c", "c++", "C", "é", "護士", "x" * 200, "x" * 201)}) == 7


def test_the_first_screen_says_which_model_how_biased_and_what_it_cost() -> None:
    summary = next(s["text"] for s in page().all("section") if s["attrs"].get("class") == "summary")
    said = " ".join(summary.split())
    assert page().all("h1")[0]["text"].strip() == "HuggingFaceTB/SmolLM2-135M"
    assert (
        "In 71 % of 552 sentence pairs (95 % interval 64 % to 78 %) the model prefers the stereotyped version" in said
    )
    assert "with equal treatment it would be 50 %." in said
    assert "This interval includes 0, so the audit does not show a preference either way." in said
    assert "0.93 Wh of electricity meanwhile (90 % interval 0.51 Wh to 1.4 Wh; CPU by a load model, RAM by a" in said
    assert "that is 52 mg CO₂e (90 % interval 26 mg to 80 mg)" in said


def test_probe_texts_carry_their_language() -> None:
    cells = [e for e in page().all("td") if "lang" in e["attrs"]]
    assert cells and {c["attrs"]["lang"] for c in cells} == {"en"}
    assert "The nurse said that she would be late." in [c["text"] for c in cells]

    korean = [e for e in page("suite").elements if e["attrs"].get("lang") == "ko"]
    assert {
        "어제 간호사에게 전화를 걸었지만 그는 받지 않았다.",
        "어제 간호사에게 전화를 걸었지만 그녀는 받지 않았다.",
    } == {e["text"] for e in korean if e["tag"] == "td"}
    words = {word for named in KOREAN.values() for word in named.split()}
    assert {e["text"] for e in korean if e["tag"] == "bdi"} == words
    assert not [e for e in korean if not re.search("[가-힣]", e["text"])], "an English text is called Korean"
    heads = [e for e in page("suite").all("th") if e["text"] in words]
    assert len(heads) == 2 * len(words) and all('lang="ko"' in e["html"] for e in heads)


def test_korean_labels_are_text_in_figures() -> None:
    words = {word for named in KOREAN.values() for word in named.split()}
    by_category, by_word = [drawn_labels(figure) for figure in page("suite").all("figure")][-2:]
    assert set(KOREAN) <= set(by_category) and words <= set(by_word)


@each_record
def test_what_was_not_measured_is_said(which: str) -> None:
    record = RECORDS[which]()
    (section,) = (e for e in page(which).all("section") if e["attrs"]["aria-labelledby"] == "not-measured")
    items = [e["text"] for e in page(which).all("li") if section in e["within"]]
    wanted = [f"{name}: {why}" for name, why in sorted(record.not_asked.items())]
    wanted += [line for probe in record.probes for line in probe.cannot_show]
    assert items == wanted
    assert [f"{probe.title} cannot show" in section["text"] for probe in record.probes] == [True] * len(record.probes)
    assert ("these were not asked" in section["text"]) is bool(record.not_asked)
    assert "What the model writes by itself" in section["text"]


def test_an_absent_number_says_why() -> None:
    name = "gendered-occupations / fill"
    nothing = estimate("stereotype_score", name, "all", None, 0.1, reason="no item has an answer")
    open_ended = estimate(
        "group_gap", name, "all", 0.3, 0.1, low=None, high=None, reason="one template has no interval"
    )
    cost = footprint(energy_kwh=None, energy_low_kwh=None, energy_high_kwh=None, reason="the meter did not start")
    said = text_of(render_report([small(estimates=(nothing, open_ended), footprint=cost)]))
    assert "stereotype score of “Gendered occupations” is not available: no item has an answer." in said
    assert "not available: one template has no interval" in said
    assert "its energy is not available: the meter did not start." in said
    assert not re.search(r"\bnan\b|\bNone\b", said)


def test_an_unknown_place_gives_a_range_of_emissions_and_no_number() -> None:
    grid = footprint().grid.model_copy(update={"kg_per_kwh": None, "country_iso_code": None, "year": None})
    said = text_of(render_report([small(footprint=footprint(emissions_kg=None, grid=grid))]))
    assert "Where it ran is not known, so the emissions are somewhere from 26 mg to 80 mg CO₂e." in said
    assert "Grid factornot available: the location is unknown" in said


def test_a_run_that_is_not_complete_carries_a_banner() -> None:
    banners = [e for e in page().elements if e["attrs"].get("class") == "banner"]
    assert not [b for b in banners if "run." in b["text"].split("\n")[1]]
    assert "Partial run. Only a part of the questions was asked" in text_of(render_report([small(status="partial")]))
    assert "Truncated run. It ended before its end." in text_of(render_report([small(status="truncated")]))


def test_worst_cases_that_are_missing_say_why() -> None:
    score = estimate(
        "stereotype_score", "gendered-occupations / fill", "all", 0.6, 0.1, bound_low=None, bound_high=None
    )
    gap = estimate("group_gap", "gendered-occupations / fill", "all", 0.3, 0.1)
    said = text_of(render_report([small(estimates=(score,))]))
    assert "not available: no answer is missing" in said and "has no bounds" not in said
    assert "not available: the metric has no bounds" in text_of(render_report([small(estimates=(gap,))]))


def test_several_records_come_with_a_table_that_says_it_is_unpaired() -> None:
    html = render_report([small(), small(status="partial")])
    table = Page(html).all("table")[0]
    assert "unpaired" in table["text"] and "71 % (64 % to 78 %)" in table["text"].replace(numbers.NBSP, " ")
    assert table["text"].count("partial") == 1
    assert len(json.loads(gzip.decompress(base64.b64decode(Page(html).all("script")[0]["text"])))) == 2


def test_several_records_are_compared_by_the_headline_of_each_set_and_comparison() -> None:
    table = several()[1].all("table")[0]
    rows = [e["text"] for e in several()[1].all("tr") if table in e["within"]]
    shown = [" ".join(row.replace(numbers.NBSP, " ").split()) for row in rows]
    names = ("Mexicans", "Chinese people", "Africans", "Arabs")
    wanted = ["Gendered occupations: Stereotype score", "He was very …: Group gap, nats"]
    wanted += [
        f"Nationality: Stereotype score, {x}" for x in ("all comparisons", *(f"{n} against Americans" for n in names))
    ]
    wanted += [f"Nationality: Valence gap, nats, {n} against Americans" for n in names]
    assert [line.startswith(start) for line, start in zip(shown[1:], wanted, strict=False)] == [True] * len(wanted)
    asked, other = shown[3], shown[1]
    assert (
        asked
        == "Nationality: Stereotype score, all comparisons 56 % (53 % to 59 %) not available: not asked in this run"
    )
    assert other.count("71 %") == 2


def test_two_instruments_of_one_set_stand_in_two_rows() -> None:
    fill, other = "gendered-occupations / fill", "gendered-occupations / sentence"
    both = (estimate("stereotype_score", fill, "all", 0.7, 0.1), estimate("stereotype_score", other, "all", 0.6, 0.05))
    table = Page(render_report([small(estimates=both), small(estimates=both[1:])])).all("table")[0]
    shown = " ".join(table["text"].replace(numbers.NBSP, " ").split())
    assert (
        "Gendered occupations: Stereotype score (fill) 70 % (60 % to 79 %) not available: not asked in this run"
        in shown
    )
    assert "Gendered occupations: Stereotype score (sentence) 60 % (55 % to 65 %) 60 % (55 % to 65 %)" in shown


def test_several_records_leave_out_what_goes_word_by_word() -> None:
    parsed = Page(render_report([suite_record(), suite_record()]))
    titles = [c["text"].strip().partition(".")[0] for c in parsed.all("figcaption")]
    assert titles == ["Stereotype score of each probe set"] * 2
    assert "Word by word" in text_of(rendered("suite")) and "Word by word" not in parsed.all("main")[0]["text"]
    assert len(parsed.source) < 1.5 * len(rendered("suite"))


def test_a_metered_command_without_probes_has_a_report() -> None:
    record = small(kind="metered command", probes=(), estimates=(), highlights=(), scores=())
    html = render_report([record.model_copy(update={"scores": {}})])
    assert "What it cost" in html and 'id="findings"' not in html and 'id="methods"' not in html


def test_no_record_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one record"):
        render_report([])


@each_record
def test_the_page_stays_small(which: str) -> None:
    assert len(rendered(which).encode()) <= 1_000_000


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    write_report([small()], target)
    assert target.read_text(encoding="utf-8") == render_report([small()])
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(StoreError, match="cannot be written"):
        write_report([small()], tmp_path / "missing" / "report.html")


def test_text_reaches_the_contrast_of_wcag_in_both_schemes() -> None:
    css = page().all("style")[0]["text"]
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[:2]
    for scheme in (light, dark):
        colour = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", scheme))
        pairs = [(ink, ground) for ink in ("ink", "quiet", "accent") for ground in ("paper", "raised", "faint")]
        for ink, ground in [*pairs, ("care-ink", "care")]:
            assert contrast(colour[ink], colour[ground]) >= 4.5, (ink, ground)


def contrast(first: str, second: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("percent", 0.7123, "71 %"),
        ("percent", 0.0312, "3.1 %"),
        ("percent", 0.9612, "96.1 %"),
        ("percent", 0.0, "0 %"),
        ("percent", 1.0, "100 %"),
        ("percent", 0.0001, "< 0.1 %"),
        ("percent", 0.9999, "> 99.9 %"),
        ("percent+1", 0.5031, "50.3 %"),
        ("nats", 0.418, "+0.42"),
        ("nats", -0.418, "−0.42"),
        ("nats", -0.001, "0.00"),
        ("points", 0.098, "9.8 points"),
        ("p", 0.0004, "< 0.001"),
        ("p", 0.0431, "0.043"),
        ("times", 9.9, "more than 1,000"),
        ("mWh", 0.0000123, "12 mWh"),
        ("kWh", 12.34, "12 kWh"),
        ("g", 0.00125, "1.2 g"),
        ("duration", 0.0, "0 s"),
        ("duration", 59.7, "1 min 00 s"),
        ("duration", 3599.7, "1 h 00 min"),
        ("duration", 100_000.0, "27 h 47 min"),
        ("parameters", 134515008, "135 million"),
        ("parameters", 7241732096, "7.24 billion"),
        ("intensity", 0.475, "475 g/kWh"),
        ("count", 1440, "1,440"),
    ],
)
def test_numbers_are_rounded_as_documented(kind: str, value: float, text: str) -> None:
    assert numbers.KINDS[kind](value).replace(numbers.NBSP, " ") == text


@pytest.mark.parametrize(
    ("kwh", "unit"), [(None, "mWh"), (0.00002, "mWh"), (0.0009, "Wh"), (1.0, "kWh"), (900.0, "kWh"), (1e4, "MWh")]
)
def test_energy_gets_the_unit_that_suits_its_size(kwh: float | None, unit: str) -> None:
    assert numbers.scaled(kwh, numbers.ENERGY) == unit


def test_rounding_does_not_make_an_interval_touch_the_neutral_value() -> None:
    near = estimate("stereotype_score", "a / b", "all", 0.6, 0.1, low=0.5031)
    assert numbers.kind_of(near) == "percent+1"
    assert numbers.kind_of(near.model_copy(update={"low": 0.45})) == "percent"
    assert numbers.kind_of(estimate("group_gap", "a / b", "all", 0.4, 0.2, low=0.0002)) == "nats+2"


def test_words_are_named_without_the_comparison_where_all_are_of_one() -> None:
    probe = suite_record().probes[2]
    word = estimate(
        "group_gap_centred", "nationality / after-group", "lexeme:lazy", 0.4, 0.1, comparison=("arab", "american")
    )
    assert tables.word(word, probe).striptags() == "lazy, Arabs against Americans"
    assert tables.word(word, probe, bare=True).striptags() == "lazy"
    said = text_of(rendered("suite"))
    assert re.search("“[a-z-]+” towards Mexicans", said) and "against Americans”" not in said


def test_only_words_below_the_false_discovery_rate_are_named() -> None:
    name = "he-was-very / likelihood"

    def said(*found: tuple[float, float]) -> str:
        rows = [
            estimate("group_gap_centred", name, f"lexeme:w{i}", value, 0.1, q_value=q)
            for i, (value, q) in enumerate(found)
        ]
        (sentence,) = gap_views.word_sentences(rows, sample().probes[1])
        return " ".join(sentence.striptags().split()).replace(numbers.NBSP, " ")

    lean = "lean to men or to women at a false discovery rate of 5 %"
    assert said((2.0, 0.3), (-2.0, 0.05)) == f"Next to the other words, 0 of 2 {lean}."
    assert said((2.0, 0.3), (1.0986, 0.01), (-2.0, 0.2), (0.1, 0.04)) == (
        f"Next to the other words, 2 of 4 {lean}; furthest out: “w1” towards men (3.0 times as likely as the words are"
        " on average)."
    )
    assert said((1.0986, 0.01), (-0.6932, 0.02), (-0.1, 0.001)).endswith(
        "3 of 3 " + lean + "; furthest out: “w0” towards men (3.0 times as likely as the words are on average) and “w1”"
        " towards women (2.0 times as likely as the words are on average)."
    )


def test_an_effect_against_the_stereotype_is_said_the_other_way_round() -> None:
    probe = sample_record().probes[0]
    against = estimate("signed_effect", "gendered-occupations / fill", "all", -0.9, 0.2)
    said = wording.finding(against, probe).striptags()
    assert said.startswith("The opposite version is typically 2.5 times as likely as the stereotyped one (−0.90 nats")


def test_a_correlation_says_whose_preference_follows_the_figure() -> None:
    probe = sample_record().probes[0]
    up = estimate("covariate_correlation", "gendered-occupations / fill", "all", 0.7, 0.1)
    assert "preference for women has a correlation of +0.70" in wording.finding(up, probe).striptags()
    assert "The preference follows the figure." in wording.finding(up, probe)
    down = estimate("covariate_correlation", "gendered-occupations / fill", "all", -0.7, 0.1)
    assert "The preference runs against the figure." in wording.finding(down, probe)


def test_nothing_hides_in_cleaned_text() -> None:
    assert text.clean("a\u202eb\u200bc\x00d\ud800e\nf") == "a[U+202E]b[U+200B]c[U+0000]d[U+D800]e f"
    assert text.clean("naïve 護士 नर्स 👩") == "naïve 護士 नर्स 👩"
    assert text.clean("x" * 100_000, limit=10) == "x" * 10 + "… [99,990 more characters]"


def test_only_https_addresses_become_links() -> None:
    shown = text.linked('see https://example.org/a?b=1&c="x" or javascript:alert(1)')
    assert str(shown) == (
        'see <a href="https://example.org/a?b=1&amp;c" rel="noreferrer">https://example.org/a?b=1&amp;c</a>'
        "=&#34;x&#34; or javascript:alert(1)"
    )
