"""What an HTML report holds to in a real browser: headless Chromium, with the policy of the page on.

One Node script, ``browser/check.mjs``, opens all pages once and says what it found. It needs Chromium, Node 20 and the
two packages of ``browser/package-lock.json``, which ``npm ci`` installs here if they are missing; without them the
tests are skipped. Broken pages come along, to show that each flaw would be found.
"""

import fcntl
import json
import re
import shutil
import subprocess
import unicodedata
import warnings
from pathlib import Path
from typing import Any

import pytest
from sample_benchmarks import BOLD, CROWS, KOBBQ, benchmark_record
from sample_comparison import sample_comparison
from sample_ledger import project
from sample_metered import sample_metered, truncated
from sample_record import sample_record
from sample_statistics import with_statistics

from fairprint.audit.comparisons import ComparisonRecord
from fairprint.audit.findings import Record
from fairprint.audit.ledger import Ledger, ledger
from fairprint.audit.ledger_runs import run_of, run_of_audit
from fairprint.audit.metered import MeteredRecord, Quality, WorkDone
from fairprint.audit.records import RunRecord
from fairprint.reports.comparison_page import render_comparison
from fairprint.reports.html import render_report
from fairprint.reports.ledger_page import render_ledger
from fairprint.reports.regimes_among import RecordAlone, ways_among

HERE = Path(__file__).parent / "browser"
Findings = dict[str, dict[str, Any]]
HOSTILE = (
    "hostile markup",
    "hostile writing",
    "hostile runs",
    "hostile comparison",
    "hostile training",
    "hostile ledger",
    "hostile ways",
)
REPORTS = ("one run", "two runs", "benchmarks", "comparison", "training", "two trainings", "ways", "ledger", *HOSTILE)
SCHEMES = ("light", "dark")

MARKUP = (
    "\"'></script><script>window.__ran=1</script></style></title></textarea><script>alert(1)</script>"
    '<img src=x onerror="window.__ran=2"><svg onload=window.__ran=3></svg><a href="javascript:window.__ran=4">a</a>'
    "<iframe src=//outside.invalid/f></iframe><link rel=stylesheet href=//outside.invalid><base href=//outside.invalid>"
    "<meta http-equiv=refresh content='0;url=http://outside.invalid/r'>{{ 7*7 }}<!-- "
)
WRITING = "שלום \u202egnp.\u2066\u200f\u200b\x00\ufeff\ud800 مرحبا بالعالم "
LONG = "x" * 100_000
FIXED = {"kind", "status", "purpose", "metric", "unit", "scale", "scored", "sensor", "phase", "outcome"}
"""Fields that hold one of a few words and no free text."""

BROKEN = """<!DOCTYPE html><html lang="en"><head><title>Broken</title><style>
.faint { color: #bbb; background: #fff } .hidden:focus { outline: none }
@media (prefers-color-scheme: dark) { .dim { color: #333; background: #222 } }
</style></head><body><main><h1>Broken</h1>
<p class="faint">Too faint to read.</p> <p class="dim">Too dim in the dark.</p>
<details><summary>More</summary><p class="faint" id="folded">Faint inside a fold.</p></details>
<img src="http://outside.invalid/pixel.png"> <img src="data:image/gif;base64,x" onerror="window.__ran = 1">
<div style="width: 900px" id="block">A block of nine hundred pixels, with words from its left end to its right end: it
is wider than a telephone is, so its lines end where nobody sees them.</div>
<div style="width: 200px; overflow-x: auto" id="dumb"><p style="width: 700px">It scrolls, not by the keyboard.</p></div>
<p>a <span>שלום</span> b</p> <a href="javascript:void 0" class="hidden">unmarked</a> <p id="late"></p>
<input aria-label="trap" onkeydown="if (event.key === 'Tab') event.preventDefault()"> <a href="#late">behind it</a>
</main><script>document.getElementById("late").textContent = "Only with script."; alert("hello"); nothing.here;</script>
</body></html>"""
GUARDED = """<!DOCTYPE html><html lang="en"><head><title>Guarded</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'"></head><body><main><h1>Guarded</h1>
<script>window.__ran = 1</script><img alt="" src="http://outside.invalid/pixel.png"></main></body></html>"""
LEAVING = """<!DOCTYPE html><html lang="en"><head><title>Leaving</title>
<meta http-equiv="refresh" content="0;url=http://outside.invalid/away"></head><body><h1>Leaving</h1></body></html>"""


def infected(value: Any, payload: str, field: str = "") -> Any:
    """Put a payload before every free text of a record; equal strings stay equal, so names still find their place."""
    if isinstance(value, Record):
        names = type(value).model_fields
        return value.model_copy(update={name: infected(getattr(value, name), payload, name) for name in names})
    if isinstance(value, dict):
        return {infected(k, payload): infected(v, payload) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(infected(part, payload, field) for part in value)
    if not isinstance(value, str) or field in FIXED:
        return value
    if field == "scope":
        sort, colon, name = value.partition(":")
        return sort + colon + infected(name, payload) if colon else value
    if field == "instrument":
        probe_set, slash, scoring = value.partition(" / ")
        return infected(probe_set, payload) + slash + scoring
    return payload + value


def small() -> RunRecord:
    """Return the sample record with few words, and with a note."""
    record, words = sample_record(), ("nurse", "carpenter", "pregnant", "handsome")
    kept = [e for e in record.estimates if not e.scope.startswith("lexeme:") or e.scope.endswith(words)]
    return record.model_copy(update={"estimates": tuple(kept), "notes": ("A note.",)})


def with_long_lines(record: RunRecord) -> RunRecord:
    """Return the record with a line of 100 kB as a title, a label, a sentence, a warning, a word and a name."""
    probe, others = record.probes[0], record.probes[1:]
    label = probe.groups[0].model_copy(update={"label": LONG})
    probe = probe.model_copy(update={"title": LONG, "summary": LONG, "groups": (label, *probe.groups[1:])})
    first = record.highlights[0]
    item = first.model_copy(update={"text": dict.fromkeys(first.text, LONG), "item": LONG})
    word = next(e for e in record.estimates if e.scope.startswith("lexeme:"))
    estimates = [e.model_copy(update={"scope": f"lexeme:{LONG}"}) if e is word else e for e in record.estimates]
    estimates[0] = estimates[0].model_copy(update={"warnings": (LONG,)})
    model = record.plan.model.model_copy(update={"name": LONG, "notes": (LONG,)})
    return record.model_copy(
        update={
            "probes": (probe, *others),
            "estimates": tuple(estimates),
            "highlights": (item, *record.highlights[1:]),
            "plan": record.plan.model_copy(update={"model": model}),
            "notes": (LONG,),
        }
    )


def ways() -> list[MeteredRecord]:
    """Return three ways to learn one task, which come beside each other."""
    told = (("tuned", "fine-tuning", 50, 0.9), ("short", "training from scratch", 50, 0.2))
    told += (("long", "training from scratch", 400, 0.5),)
    return [
        sample_metered(
            run_id=f"20260301T100000000Z-{name}-0001",
            name=name,
            purpose=purpose,
            task="topics",
            work=WorkDone(steps=steps),
            quality=tuple(
                Quality(metric="accuracy", part=part, value=value) for part in ("new words", "new sentences")
            ),
        )
        for name, purpose, steps, value in told
    ]


Told = list[RunRecord] | list[MeteredRecord] | ComparisonRecord | Ledger


def ledger_of(records: list[RunRecord | MeteredRecord]) -> Ledger:
    return ledger([run_of_audit(r) if isinstance(r, RunRecord) else run_of(r) for r in records])


def rendered(told: Told) -> str:
    """Return the page of some audits, of some metered runs, of a comparison, or of a ledger."""
    if isinstance(told, Ledger):
        return render_ledger(told)
    if isinstance(told, ComparisonRecord):
        return render_comparison(told)
    audits = [record for record in told if isinstance(record, RunRecord)]
    metered = [record for record in told if isinstance(record, MeteredRecord)]
    return render_report(audits, metered=metered, ways=ways_among(map(RecordAlone, metered)))


def reports() -> dict[str, Told]:
    markup, writing = infected(small(), MARKUP), infected(with_long_lines(small()), WRITING)
    return {
        "one run": [with_statistics(sample_record())],
        "two runs": [small(), small().model_copy(update={"status": "partial"})],
        "benchmarks": [benchmark_record(CROWS, KOBBQ, BOLD)],
        "comparison": sample_comparison(),
        "training": [sample_metered()],
        "two trainings": [sample_metered(), truncated()],
        "ways": ways(),
        "ledger": ledger_of(project()),
        "hostile markup": [markup],
        "hostile writing": [writing],
        "hostile runs": [markup, writing],
        "hostile comparison": infected(sample_comparison(), MARKUP),
        "hostile training": [infected(sample_metered(), MARKUP)],
        "hostile ledger": ledger_of([infected(record, MARKUP) for record in project()]),
        "hostile ways": [infected(record, MARKUP) for record in ways()],
    }


def tool(*names: str) -> str:
    found = next((path for path in map(shutil.which, names) if path), None)
    if found is None:
        pytest.skip(f"{' or '.join(names)} is not installed, so no report can be opened in a browser")
    return found


def node() -> str:
    path = tool("node")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < 20:
        pytest.skip(f"Node is {version} here, and playwright-core needs version 20 or later")
    return path


def ensure_packages() -> None:
    """Install the packages of the lock file unless they are there; skip where they cannot be had."""
    wanted: dict[str, str] = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    manifests = {name: HERE / "node_modules" / name / "package.json" for name in wanted}
    if all(m.is_file() and json.loads(m.read_bytes())["version"] == wanted[name] for name, m in manifests.items()):
        return
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=0")
    command = [tool("npm"), "ci", *options]
    try:
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm ci in tests/browser did not end within a minute")
    if done.returncode:
        pytest.skip(f"npm ci in tests/browser failed: {' '.join(done.stderr.split())[:160]}")


def examine(folder: Path) -> Findings:
    """Open every page and return what was found out about it, by its name."""
    command = [node(), str(HERE / "check.mjs"), tool("chromium", "chromium-browser", "google-chrome")]
    ensure_packages()
    pages, told = {"broken": BROKEN, "guarded": GUARDED, "leaving": LEAVING}, {}
    for name, records in reports().items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pages[name] = rendered(records)
        told[name] = [str(warning.message) for warning in caught]
    paths = {name: folder / f"{name}.html" for name in pages}
    for name, html in pages.items():
        paths[name].write_text(html, encoding="utf-8")
    files = [str(path) for path in paths.values()]
    done = subprocess.run([*command, *files], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)["pages"]
    return {
        name: {**seen[str(path)], "own": own_scripts(pages[name]), "warnings": told.get(name, [])}
        for name, path in paths.items()
    }


def own_scripts(html: str) -> list[str]:
    """Return the hashes of the scripts that the policy, which stands before all text of a record, lets run."""
    policy = re.search(r"script-src ([^;]*);", html)
    return re.findall(r"'sha256-([^']+)'", policy[1]) if policy else []


@pytest.fixture(scope="module")
def found(shared_folder: Path) -> Findings:
    folder = shared_folder / "browser"  # the first worker opens the pages, and the others wait for it
    folder.mkdir(exist_ok=True)
    findings = folder / "findings.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not findings.exists():
            findings.write_text(json.dumps(examine(folder)), encoding="utf-8")
    loaded: Findings = json.loads(findings.read_bytes())
    return loaded


def rules(violations: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the elements that break a rule of axe, by rule."""
    return {v["rule"]: [node["html"] for node in v["nodes"]] for v in violations}


@pytest.mark.parametrize("name", REPORTS)
def test_no_script_but_ours_runs_and_nothing_is_requested(found: Findings, name: str) -> None:
    page = found[name]
    assert [script for script in page["scripts"] if script["sha256"] not in page["own"]] == []
    assert page["marker"] is None and page["dialogs"] == []
    assert page["requests"] == [] and page["connections"] == [] and page["left"] == []
    assert page["active"] == [], "an element could run, load or send something"
    assert page["console"] == [], "the policy had to hold something back"


@pytest.mark.parametrize("state", [*SCHEMES, "narrow"])
@pytest.mark.parametrize("name", REPORTS)
def test_axe_finds_no_violation_of_wcag_aa(found: Findings, name: str, state: str) -> None:
    results = found[name]["accessibility"][state]
    assert rules(results["violations"]) == {}
    assert rules(results["undecided"]) == {}, "axe could not tell"


@pytest.mark.parametrize("name", REPORTS)
def test_a_narrow_screen_scrolls_only_downwards(found: Findings, name: str) -> None:
    for width, layout in ((320, found[name]["layout"]["narrow"]), (1280, found[name]["layout"]["wide"])):
        assert layout["scrollWidth"] == width
        assert layout["sticking"] == [], "a text is cut off"


@pytest.mark.parametrize("name", REPORTS)
def test_wide_tables_scroll_in_named_regions_that_take_the_focus(found: Findings, name: str) -> None:
    narrow = found[name]["layout"]["narrow"]
    assert narrow["regions"] > 5
    assert narrow["regionsWithoutKeyboard"] == []


@pytest.mark.parametrize("name", REPORTS)
def test_the_text_is_the_same_without_javascript(found: Findings, name: str) -> None:
    page = found[name]
    closed, opened = page["text_with_script"].split("\f")
    assert 1000 < len(closed) < len(opened)
    assert page["text_with_script"] == page["text_without_script"]


@pytest.mark.parametrize("name", REPORTS)
def test_the_tab_key_reaches_everything_and_the_focus_is_seen(found: Findings, name: str) -> None:
    keyboard = found[name]["keyboard"]
    assert keyboard["stops"] > (15 if "comparison" in name or "ledger" in name else 20)  # these have fewer tables
    assert keyboard["unreached"] == [] and keyboard["unmarked"] == []


def test_a_table_is_sorted_and_filtered_without_a_change_of_what_it_holds(found: Findings) -> None:
    seen = found["one run"]["enhanced"]
    assert seen is not None and "error" not in seen, seen
    before, up, down = seen["before"]["values"], seen["up"], seen["down"]
    assert len(before) >= 12 and before != sorted(before)
    assert (up["values"], up["sorted"]) == (sorted(before), "ascending")
    assert (down["values"], down["sorted"]) == (sorted(before, reverse=True), "descending")
    assert 0 < len(seen["filtered"]["words"]) < len(before)
    assert all(seen["word"] in word.upper() for word in seen["filtered"]["words"])
    assert sorted(seen["after"]["words"]) == sorted(seen["before"]["words"])


def test_hostile_text_is_shown_and_nothing_hides_in_it(found: Findings) -> None:
    text = "".join(found[name]["text_with_script"] for name in HOSTILE)
    shown = ("</script><script>window.__ran=1</script>", "{{ 7*7 }}", "[U+202E]gnp.", "[U+0000]", "[U+D800]", "שלום")
    assert all(text.count(part) > 10 for part in shown)
    hidden = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co")} - {"\n", "\t", "\f"}
    assert hidden == set()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_leaves_room_for_the_figures(found: Findings, name: str) -> None:
    assert found[name]["warnings"] == []


@pytest.mark.parametrize("name", HOSTILE)
def test_text_from_right_to_left_moves_nothing_else(found: Findings, name: str) -> None:
    assert found[name]["mixed"] == []


@pytest.mark.parametrize("name", ["hostile writing", "hostile runs"])
def test_a_line_of_a_hundred_kilobytes_is_cut_short(found: Findings, name: str) -> None:
    text = found[name]["text_with_script"]
    assert "x" * 40 in text and "x" * 3000 not in text


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_makes_a_table_wider_than_one_can_scroll(found: Findings, name: str) -> None:
    for screen in ("narrow", "wide"):
        assert 0 < found[name]["layout"][screen]["widestRegion"] < 4000


def test_a_missing_program_is_named_as_the_reason_to_skip() -> None:
    with pytest.raises(pytest.skip.Exception, match="no-such-browser or no-such-chrome is not installed"):
        tool("no-such-browser", "no-such-chrome")


def test_a_script_and_what_it_does_would_be_noticed(found: Findings) -> None:
    page = found["broken"]
    assert page["marker"] == 1 and page["dialogs"] == ["alert: hello"] and page["console"]
    sources = [script["source"] for script in page["scripts"]]
    assert any("Only with script." in s for s in sources) and any("window.__ran = 1" in s for s in sources)
    assert any("nothing is not defined" in line for line in page["console"])
    assert len(page["active"]) == 3
    assert "Only with script." in page["text_with_script"]
    assert "Only with script." not in page["text_without_script"]


def test_a_request_would_be_noticed(found: Findings) -> None:
    page = found["broken"]
    assert set(page["requests"]) == {"http://outside.invalid/pixel.png"}
    assert page["connections"] and "http://outside.invalid/pixel.png" in page["connections"][0]
    assert set(found["leaving"]["left"]) == {"http://outside.invalid/away"}


def test_what_only_the_policy_holds_back_would_be_noticed(found: Findings) -> None:
    page = found["guarded"]
    assert page["marker"] is None and page["scripts"] == [] and page["connections"] == []
    assert [line for line in page["console"] if "script" in line and "Content Security Policy" in line]
    assert [line for line in page["console"] if "pixel.png" in line and "Content Security Policy" in line]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_faint_text_and_an_image_without_text_would_be_noticed(found: Findings, scheme: str) -> None:
    broken = rules(found["broken"]["accessibility"][scheme]["violations"])
    assert any("pixel.png" in html for html in broken["image-alt"])
    faint = broken["color-contrast"]
    assert any('id="folded"' in html for html in faint), "a fold was not opened"
    assert any('class="dim"' in html for html in faint) == (scheme == "dark")


def test_a_layout_that_does_not_fit_would_be_noticed(found: Findings) -> None:
    narrow = found["broken"]["layout"]["narrow"]
    assert narrow["scrollWidth"] > 900
    assert any('id="block"' in html for html in narrow["sticking"])
    assert [html for html in narrow["regionsWithoutKeyboard"] if 'id="dumb"' in html]
    assert len(found["broken"]["mixed"]) == 1


def test_a_trap_and_an_unseen_focus_would_be_noticed(found: Findings) -> None:
    keyboard = found["broken"]["keyboard"]
    assert [html for html in keyboard["unmarked"] if 'class="hidden"' in html]
    assert [html for html in keyboard["unreached"] if 'href="#late"' in html]
