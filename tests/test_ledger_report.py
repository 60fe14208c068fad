"""The ledger as a command, as JSON and as a page: the same numbers everywhere, each with its interval or a reason."""

import base64
import gzip
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from sample_ledger import SEARCH, TRAINING, accuracy, keep, metered, write_project
from sample_metered import NOWHERE
from test_report import HOSTILE, Page, rows_of, said_by

from fairprint.audit.ledger import Ledger, ledger
from fairprint.audit.ledger_runs import read_runs, run_of
from fairprint.reports import numbers
from fairprint.reports.cli import main
from fairprint.reports.ledger_page import render_ledger

Ran = tuple[int, str, str]


@pytest.fixture
def fairprint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["fairprint", "ledger", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), out, err

    return run


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("ledger") / "store")


@pytest.fixture(scope="module")
def told(store: Path) -> Ledger:
    return ledger(*read_runs(store))


@pytest.fixture(scope="module")
def page(told: Ledger) -> Page:
    return Page(render_ledger(told))


def shown(parsed: Page) -> list[float]:
    return [float(each["attrs"]["value"]) for each in parsed.all("data")]


# the command


def test_the_command_tells_the_total_its_split_and_the_overhead(fairprint: Callable[..., Ran], store: Path) -> None:
    code, out, err = fairprint("--store", str(store))
    assert (code, err) == (0, "")
    assert "All 7 runs together used 190 Wh of electricity at the machines (90 % interval 170 Wh to 220 Wh)" in out
    assert "searches 42 %, fine-tuning 21 %, runs that do not say what for 21 %, audits 16 %" in out
    assert "There were 3 searches with 15 trials, of which 5 failed or were pruned; they are counted." in out
    assert "“search a” used 4.00 (4.00 to 4.00) times the energy of its best trial, trial 1." in out
    assert "the development of OLMo models on top of their training, 50 % (Morrison et al. 2025)" in out
    assert "fairprint runs recover 20260301T160000000Z-cut-off-0008 writes its record" in out


def test_the_json_is_all_of_stdout_and_has_units_in_its_names(fairprint: Callable[..., Ran], store: Path) -> None:
    code, out, err = fairprint("--store", str(store), "--json")
    data = json.loads(out)
    assert (code, err, data["schema_version"]) == (0, "", 1)
    assert data["energy_kwh"]["value"] == pytest.approx(0.19, abs=1e-9)
    assert math.fsum(share["energy_kwh"]["value"] for share in data["shares"]) == data["energy_kwh"]["value"]
    assert {share["purpose"] for share in data["shares"]} == {"fine-tuning", "search", "audit", "not said"}
    assert [trial["status"] for trial in data["entries"][0]["trials"]].count("failed") == 1
    assert data["entries"][0]["place"]["grid"]["country_iso_code"] == "DEU"
    assert data["shared"][0]["run_id"] == TRAINING
    assert data["unfinished"][0]["status"] == "cut off"
    assert data["overhead"]["factor"]["value"] == pytest.approx(4.75)


def test_the_best_trial_and_the_final_run_may_be_named(fairprint: Callable[..., Ran], store: Path) -> None:
    search = "20260301T100000000Z-search-a-0001"
    arguments = ("--store", str(store), "--json", "--best", f"{search}/trial 3", "--final", search)
    data = json.loads(fairprint(*arguments)[1])
    assert (data["searches"][0]["best"], data["searches"][0]["best_why"]) == ("trial 3", "named with --best")
    assert data["overhead"]["factor"]["value"] == pytest.approx(0.19 / 0.04)
    code, out, err = fairprint("--store", str(store), "--best", "trial 77")
    assert (code, out) == (2, "") and "no search has a trial 'trial 77'" in err
    code, out, err = fairprint("--store", str(store), "--final", "nothing")
    assert (code, out) == (2, "") and "the final run 'nothing' is none here" in err


def test_an_empty_store_is_no_error(fairprint: Callable[..., Ran], tmp_path: Path) -> None:
    code, out, err = fairprint("--store", str(tmp_path / "none"))
    assert (code, err) == (0, "") and "No finished run is stored here." in out
    assert json.loads(fairprint("--store", str(tmp_path / "none"), "--json")[1])["entries"] == []
    assert not (tmp_path / "none").exists()
    code, _, err = fairprint("--store", str(tmp_path / "none"), "-o", str(tmp_path / "empty.html"))
    assert code == 0 and (tmp_path / "empty.html").is_file()


def test_a_damaged_record_is_told_and_ends_with_3(fairprint: Callable[..., Ran], tmp_path: Path) -> None:
    for name in ("good", "bad"):
        keep(tmp_path, metered(name, 0, 100))
    (tmp_path / "bad" / "run.json").write_text("{}", encoding="utf-8")
    code, out, err = fairprint("--store", str(tmp_path))
    assert code == 3 and "bad: not counted, since the record cannot be read" in err
    assert "The only run used 10 Wh of electricity" in out
    assert "1 run without a readable record: not counted" in out


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_read(
    fairprint: Callable[..., Ran], store: Path, tmp_path: Path
) -> None:
    code, out, err = fairprint("--store", str(store), "-o", str(tmp_path / "no" / "page.html"))
    assert (code, out) == (2, "") and "cannot be written" in err


def test_the_command_loads_nothing_heavy(store: Path) -> None:
    program = (
        "import sys; sys.argv = ['fairprint', 'ledger', '--store', sys.argv[1]]\n"
        "from fairprint.reports.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'matplotlib', 'pandas', 'scipy', 'codecarbon'} & {*sys.modules}\n"
        "print('heavy:', sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(store)], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: []\n")


def test_no_line_of_a_hostile_name_is_a_command_to_a_runner(fairprint: Callable[..., Ran], tmp_path: Path) -> None:
    keep(tmp_path, metered("run", 0, 400, name="::error::x ##[group]\x1b[31m", spans=SEARCH, task="##[group]"))
    for more in ((), ("--json",)):
        code, out, _ = fairprint("--store", str(tmp_path), *more)
        assert code == 0 and "##[" not in out and "\x1b" not in out
        assert not [line for line in out.splitlines() if line.lstrip().startswith("::")]


# the page


def test_the_page_loads_nothing_from_elsewhere(page: Page, told: Ledger) -> None:
    html = render_ledger(told)
    assert html == render_ledger(told)
    for element in page.elements:
        for name in ("src", "href", "srcset", "action"):
            address = element["attrs"].get(name, "#")
            assert address.startswith(("#", "data:image/svg+xml;base64,", "https://")), address
            assert element["tag"] == "a" or not address.startswith("https:")
    assert "{{" not in html and "{%" not in html


def test_the_page_says_what_the_ledger_says(page: Page, told: Ledger) -> None:
    stand = shown(page)
    amounts = [told.energy, told.emissions, told.overhead.factor]
    amounts += [amount for share in told.shares for amount in (share.energy, share.emissions)]
    amounts += [amount for there in told.places for amount in (there.energy, there.emissions)]
    amounts += [amount for search in told.searches for amount in (search.energy, search.best_energy, search.factor)]
    amounts += [amount for entry in told.entries for amount in (entry.energy, entry.emissions)]
    amounts += [a for entry in told.entries for trial in entry.trials for a in (trial.energy, trial.emissions)]
    for amount in amounts:
        assert {amount.value, amount.low, amount.high} <= {*stand}
    assert {entry.counted.value for entry in told.entries} <= {*stand}
    assert {quality.value for entry in told.entries for t in entry.trials for quality in t.quality} <= {*stand}
    assert {shared.energy_kwh for shared in told.shared} <= {*stand}
    for element in page.all("data"):
        raw = element["attrs"]["value"]
        value = int(raw) if re.fullmatch(r"-?\d+", raw) else float(raw)
        assert element["text"] == numbers.KINDS[element["attrs"]["data-as"]](value)
    assert not re.search(r"\b(None|NaN|nan|inf)\b", said_by(page))


def test_the_picture_has_words_and_its_numbers_stand_in_a_table(page: Page, told: Ledger) -> None:
    (image,) = page.all("img")
    alt = image["attrs"]["alt"]
    assert alt.startswith("accuracy upwards, CO₂e across: 4 models that no other beats from 0.540 for 0.91 g to 0.950")
    svg = base64.b64decode(image["attrs"]["src"].partition(",")[2])
    drawn = "".join(ElementTree.fromstring(svg).itertext())
    assert "CO₂e, g" in drawn and all(str(n) in drawn for n in (1, 2, 3, 4))
    (front,) = told.fronts
    models = rows_of(page, "The same models as a table")
    assert [row[0] for row in models] == [p.label for p in (*front.front, *(p for p, _ in front.dominated))]
    assert [row[-1] for row in models] == ["none"] * 4 + [by.label for _, by in front.dominated]
    stand = {*shown(page)}
    for point in (*front.front, *(p for p, _ in front.dominated)):
        assert {point.quality, point.cost, point.low, point.high} <= stand
    for step in front.steps:
        assert {step.gain, step.cost, step.per_unit, step.low, step.high} <= stand


def test_the_page_holds_the_ledger_as_data(told: Ledger, fairprint: Callable[..., Ran], store: Path) -> None:
    html = render_ledger(told)
    found = re.search(r'id="fairprint-ledger">([A-Za-z0-9+/=]*)<', html)
    assert found is not None
    data = json.loads(gzip.decompress(base64.b64decode(found[1])))
    assert data == json.loads(fairprint("--store", str(store), "--json")[1])


def test_every_id_that_is_linked_is_there_once(page: Page) -> None:
    ids = [element["attrs"]["id"] for element in page.elements if "id" in element["attrs"]]
    assert len(ids) == len({*ids})
    assert {a["attrs"]["href"][1:] for a in page.all("a") if a["attrs"]["href"].startswith("#")} <= {*ids}


def of(*records: Any) -> Page:
    return Page(render_ledger(ledger([run_of(record) for record in records])))


def test_an_unknown_place_is_an_interval_with_its_reason() -> None:
    text = said_by(of(metered("a", 0, 100, quality=(accuracy(0.9),), foot={"grid": NOWHERE})))
    assert "The emissions lie somewhere from" in text
    assert "its location is unknown: the interval spans the world's countries there" in text
    assert "Costs are energies, since the emissions of 1 of 1 models are not known." in text


def test_a_project_without_quality_says_how_to_note_it() -> None:
    text = said_by(of(metered("a", 0, 100, purpose=None)))
    assert "No quality was noted of any model" in text and "No search is stored here." in text
    assert "give its id with --final" not in text or "not available" in text


def test_many_runs_are_folded_and_capped() -> None:
    page = of(*(metered(f"run {n:03}", 200 * n, 200 * n + 100) for n in range(60)))
    assert len(rows_of(page, "Every run with the trainings inside of it")) == 30
    assert len(rows_of(page, "The other 30 rows")) == 30


@pytest.mark.parametrize("hostile", [HOSTILE] if isinstance(HOSTILE, str) else list(HOSTILE))
def test_hostile_names_stay_text(hostile: str) -> None:
    quality = accuracy(0.9, metric=hostile, part=hostile)
    page = of(metered("a", 0, 400, name=hostile, task=hostile, quality=(quality,), spans=SEARCH))
    assert [e for e in page.elements if e["tag"] in ("iframe", "object", "form", "base", "link")] == []
    assert not [e for e in page.elements if any(key.startswith("on") for key in e["attrs"])]
    assert len(page.all("script")) == 2
