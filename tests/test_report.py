"""What an HTML report holds to, whatever its record says."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sample_record import estimate, footprint, sample_record

from fairprint.audit.records import GroupInfo, RunRecord
from fairprint.probes.errors import StoreError
from fairprint.reports import figures, numbers, tables, text, wording
from fairprint.reports.html import render_report, write_report

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(1)> {{ 7*7 }} \u202egnp.\u2066\u200b\x00\ufeff & \" '"
)
VOID = {"meta", "img", "br", "link", "input"}
OURS = {"90 %", "5 %", "SHA-256"}
"""Digits of our own in running text: the level of the cost interval, the false discovery rate, the name of a hash."""


class Page(HTMLParser):
    """The elements of a page in order, each with its tag, attributes, text, and the tags around it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[dict[str, Any]] = []
        self.open: list[dict[str, Any]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.feed(html)
        self.close()
        assert not self.open, "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = {"tag": tag, "attrs": dict(attrs), "text": "", "path": tuple(e["tag"] for e in self.open)}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(e["tag"] for e in self.open), data))
        for element in self.open:
            element["text"] += data

    def all(self, tag: str) -> list[dict[str, Any]]:
        return [e for e in self.elements if e["tag"] == tag]


@cache
def rendered() -> str:
    return render_report([sample_record()])


@cache
def page() -> Page:
    return Page(rendered())


@cache
def sample() -> RunRecord:
    return sample_record()


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


def test_every_number_stands_in_the_record_and_is_rounded_by_its_rule() -> None:
    record = sample_record()
    known = {float(x) for x in leaves(record.model_dump()) if isinstance(x, int | float)}
    shown = page().all("data")
    assert len(shown) > 500
    for element in shown:
        raw, kind = element["attrs"]["value"], element["attrs"]["data-as"]
        value = int(raw) if re.fullmatch(r"-?\d+", raw) else float(raw)
        assert element["text"] == numbers.KINDS[kind](value)
        if kind == "tally":
            assert 0 <= value <= len(record.estimates)
        else:
            assert value in known, f"{raw} is not in the record"


def test_no_digit_stands_outside_a_number_or_a_string_of_the_record() -> None:
    strings = [text.clean(x) for x in leaves(sample_record().model_dump()) if isinstance(x, str)]
    parts = {part for s in strings for part in (s, *re.split(r"(https://\S+)", s))}
    parts |= OURS | {meaning for _, meaning in wording.METRICS.values()}
    known = re.compile("|".join(re.escape(s) for s in sorted(parts, key=len, reverse=True) if re.search(r"\d", s)))
    for path, shown in page().texts:
        if not {"data", "code", "script", "style"} & set(path):
            rest = known.sub("", shown.replace(numbers.NBSP, " "))
            assert not re.search(r"\d", rest), f"{shown!r} holds a digit of unknown origin"


def test_hostile_strings_stay_text() -> None:
    base = sample_record()
    probe = base.probes[0].model_copy(
        update={
            "title": HOSTILE,
            "summary": HOSTILE,
            "groups": (GroupInfo(id="male", label=HOSTILE), GroupInfo(id="female", label="b")),
            "language": HOSTILE,
        }
        | {"sources": (f"https://example.org/{HOSTILE}",), "covariate": HOSTILE, "lexeme_covariates": {HOSTILE: 3.0}}
    )
    label = "gendered-occupations / fill"
    scopes = (f"lexeme:{HOSTILE}", "lexeme:$x^$", "lexeme:護士", f"category:{HOSTILE}", "all")
    estimates = tuple(estimate("group_gap", label, s, 0.4, 0.2, warnings=(HOSTILE,), q_value=0.01) for s in scopes)
    item = base.highlights[0].model_copy(update={"text": {"male": HOSTILE, "female": "x" * 100_000}, "item": HOSTILE})
    model = base.plan.model.model_copy(update={"name": HOSTILE + "\ud800", "notes": (HOSTILE,)})
    plan = base.plan.model_copy(update={"model": model, "probe_hashes": {HOSTILE: HOSTILE}})
    changed = {"plan": plan, "probes": (probe,), "estimates": estimates, "highlights": (item,), "notes": (HOSTILE,)}
    html = render_report([base.model_copy(update=changed)])
    parsed = Page(html)

    assert [s["attrs"] for s in parsed.all("script")] == [{"type": "application/json", "id": "fairprint-records"}]
    assert all(e["attrs"]["src"].startswith("data:image/svg+xml;base64,") for e in parsed.all("img"))
    assert not [name for e in parsed.elements for name in e["attrs"] if name.startswith("on")]
    assert {unicodedata.category(c) for c in html if c != "\n"}.isdisjoint({"Cc", "Cf", "Cs"})
    assert "{{ 7*7 }}" in parsed.all("h1")[0]["text"] and "[U+202E]" in html and "[U+D800]" in html
    assert "x" * 3000 not in html.split('id="fairprint-records"')[0]
    assert json.loads(parsed.all("script")[0]["text"])[0]["notes"] == [HOSTILE]


def test_hostile_strings_stay_text_inside_figures() -> None:
    rows = [(HOSTILE + "\ud800", estimate("group_gap", "a / b", "all", 0.4, 0.2))]
    for drawn in (figures.dot_plot(rows, x_label=HOSTILE), figures.scatter(rows, [1.0], x_label="", y_label=HOSTILE)):
        svg = drawn.decode()
        assert "<script" not in svg and "<img" not in svg and "\u202e" not in svg and "[U+202E]" in svg


def test_the_same_record_gives_the_same_bytes_everywhere(tmp_path: Path) -> None:
    assert render_report([sample_record()]) == rendered()
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nsvg.fonttype: path\n")
    code = "import sys; from pathlib import Path; from sample_record import sample_record as s\n"
    code += "from fairprint.reports.html import write_report as w; w([s()], Path(sys.argv[1]))"
    target = tmp_path / "other.html"
    env = {"PYTHONHASHSEED": "4711", "TZ": "Asia/Kathmandu", "PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run([sys.executable, "-c", code, str(target)], check=True, cwd=tmp_path, env={**os.environ, **env})
    assert target.read_bytes() == rendered().encode()


def test_nothing_is_loaded_from_outside() -> None:
    html = rendered()
    for element in page().elements:
        for name, value in element["attrs"].items():
            if name in ("src", "srcset", "poster", "data", "action", "background"):
                assert value.startswith("data:")
            if name == "href":
                assert element["tag"] == "a" and value.startswith(("#", "https://"))
    assert "url(" not in html and "@import" not in html and not page().all("link")


def test_the_policy_allows_our_style_and_no_script() -> None:
    policy = next(m["attrs"]["content"] for m in page().all("meta") if "http-equiv" in m["attrs"])
    digest = base64.b64encode(hashlib.sha256(page().all("style")[0]["text"].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'") and "script-src" not in policy and "unsafe" not in policy
    assert not [e for e in page().elements if "style" in e["attrs"]]


def test_headings_go_down_one_level_at_a_time() -> None:
    for parsed in (page(), Page(render_report([small(), small(status="partial")]))):
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


def test_every_figure_says_what_it_shows_and_has_its_numbers_as_a_table() -> None:
    figure = page().all("figure")
    assert len(figure) == len(page().all("figcaption")) == len(page().all("img")) == 6
    assert all(len(img["attrs"]["alt"]) > 30 and img["attrs"]["alt"].endswith(".") for img in page().all("img"))
    assert len([t for t in page().all("table") if "figure" in t["path"] and "details" in t["path"]]) == len(figure)


def test_ids_are_unique_and_every_link_inside_the_page_arrives() -> None:
    for parsed in (page(), Page(render_report([small(), small(status="partial")]))):
        ids = [e["attrs"]["id"] for e in parsed.elements if "id" in e["attrs"]]
        assert len(ids) == len(set(ids))
        wanted = [e["attrs"]["href"][1:] for e in parsed.all("a") if e["attrs"]["href"].startswith("#")]
        wanted += [e["attrs"]["aria-labelledby"] for e in parsed.elements if "aria-labelledby" in e["attrs"]]
        assert set(wanted) <= set(ids)


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


def test_several_records_come_with_a_table_that_says_it_is_unpaired() -> None:
    html = render_report([small(), small(status="partial")])
    table = Page(html).all("table")[0]
    assert "unpaired" in table["text"] and "71 % (64 % to 78 %)" in table["text"].replace(numbers.NBSP, " ")
    assert table["text"].count("partial") == 1
    assert len(json.loads(Page(html).all("script")[0]["text"])) == 2


def test_a_metered_command_without_probes_has_a_report() -> None:
    record = small(kind="metered command", probes=(), estimates=(), highlights=(), scores=())
    html = render_report([record.model_copy(update={"scores": {}})])
    assert "What it cost" in html and 'id="findings"' not in html and 'id="methods"' not in html


def test_no_record_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one record"):
        render_report([])


def test_the_page_holds_the_whole_record_and_stays_small() -> None:
    data = json.loads(page().all("script")[0]["text"])
    assert RunRecord.model_validate(data[0]) == sample_record()
    assert len(rendered().encode()) <= 1_000_000


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
