"""Labelled texts and images: the reader of CSV files, accuracy by group, and gaps with intervals by source."""

import csv
import importlib.util
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
import transformers as hf
from scipy import stats

from fairprint.audit.evaluate import evaluate
from fairprint.audit.labelled_metrics import MOST_RATES, unanswered
from fairprint.audit.models import open_model
from fairprint.audit.multiplicity import REPORT
from fairprint.audit.records import Estimate, RunRecord
from fairprint.audit.runner import audit
from fairprint.audit.sources import find_model
from fairprint.probes.catalog import find_probe_set
from fairprint.probes.errors import ProbeFileError, UsageError
from fairprint.probes.instruments import INSTRUMENTS
from fairprint.probes.items import ProbeSet
from fairprint.probes.labelled import OTHERS, belongs, load_labelled
from fairprint.probes.requests import Backend, ClassifyRequest, ClassifyResponse
from fairprint.probes.review import remarks
from fairprint.probes.scores import CORRECT, Score
from fairprint.probes.tasks_classify import labelled
from fairprint.reports.html import render_report

needs_pillow = pytest.mark.skipif(importlib.util.find_spec("PIL") is None, reason="needs Pillow")
ROWS = "text,label,group,source\n"


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def table(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


class Oracle(Backend):
    """Answers with the label that a text ends with."""

    name = "oracle"

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)

    def classify(self, requests: Sequence[ClassifyRequest]) -> list[ClassifyResponse]:
        answers = []
        for request in requests:
            said = (request.text or "").rpartition(" ")[2]
            chosen = tuple(float(label == said) for label in self.labels)
            answers.append(ClassifyResponse(labels=self.labels, probabilities=chosen if any(chosen) else None))
        return answers


def scores_of(found: ProbeSet, correct: Sequence[float | None]) -> list[Score]:
    return [
        Score(
            item=item.id,
            template=item.template,
            lexeme="",
            category=item.category,
            group=item.variants[0].group,
            name=CORRECT,
            value=value,
            note="" if value is not None else "lost",
        )
        for item, value in zip(found.items, correct, strict=True)
    ]


def pick(
    estimates: Sequence[Estimate], metric: str, scope: str = "all", pair: tuple[str, str] | None = None
) -> Estimate:
    (found,) = [e for e in estimates if (e.metric, e.scope, e.comparison) == (metric, scope, pair)]
    return found


# the reader


def test_a_file_of_texts_becomes_a_set_with_an_item_a_row(tmp_path: Path) -> None:
    path = written(
        tmp_path / "My reviews.csv", ROWS + '"Good, very good.",pos,women,a\nBad.,NEG,men,a\nBad!,neg,men,\n'
    )
    found = find_probe_set(f"labelled:{path}")

    assert (found.name, found.scored, found.random_factors) == ("my-reviews", "labelled", ("template",))
    assert [item.id for item in found.items] == ["line 2", "line 3", "line 4"]
    assert [item.template for item in found.items] == ["source a", "source a", "line 4"]
    assert [item.category for item in found.items] == ["pos", "NEG", "NEG"], "one label is spelled one way"
    assert [item.variants[0].text for item in found.items] == ["Good, very good.", "Bad.", "Bad!"]
    assert [item.variants[0].image for item in found.items] == ["", "", ""]
    assert [(pair.first, pair.second) for pair in found.comparisons] == [("women", "men")]


def test_paths_are_relative_to_the_file_and_no_folder_of_the_machine_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", f"path,label,group\nin/x.png,cat,A\n{tmp_path}/y.png,cat,B\n")
    found = load_labelled(path)

    assert found.scored == "labelled images"
    assert [item.variants[0].image for item in found.items] == [f"{tmp_path}/in/x.png", f"{tmp_path}/y.png"]
    assert [item.variants[0].text for item in found.items] == ["in/x.png", "y.png"]


def test_more_than_two_groups_are_compared_with_all_others_and_columns_meet_in_intersections(tmp_path: Path) -> None:
    rows = [
        {"text": "t", "label": "l", "group": region, "group2": gender}
        for region, gender in itertools.product(("Africa", "Asia", "Europe"), ("women", "men"))
        if (region, gender) != ("Asia", "men")
    ]
    found = load_labelled(table(tmp_path / "a.csv", rows))

    assert [(pair.first, pair.second) for pair in found.comparisons] == [
        ("Africa", OTHERS),
        ("Asia", OTHERS),
        ("Europe", OTHERS),
        ("women", "men"),
        ("Africa & women", OTHERS),
        ("Africa & men", OTHERS),
        ("Asia & women", OTHERS),
        ("Europe & women", OTHERS),
        ("Europe & men", OTHERS),
    ]
    assert {group.id: group.label for group in found.groups}[OTHERS] == "all other items"
    assert belongs(found.items[0].variants[0].group, "women")
    assert not belongs(found.items[0].variants[0].group, "men"), "a name within another is no member"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "the file is empty"),
        ("text,label,group\n", 1, "the file has no rows"),
        ("text,lable,group\nt,l,g\n", 1, "unknown column 'lable'. Did you mean 'label'?"),
        ("text,label,group,group1\nt,l,g,h\n", 1, "unknown column 'group1'"),
        ("text,label,label,group\nt,l,l,g\n", 1, "the column 'label' stands twice"),
        ("label,group\nl,g\n", 1, "expected a column 'path' or a column 'text', found neither"),
        ("path,text,label,group\np,t,l,g\n", 1, "found both"),
        ("text,group\nt,g\n", 1, "the column 'label' is missing"),
        ("text,label\nt,l\n", 1, "the column 'group' is missing"),
        ("text,label,group\nt,l,g\nt,,g\n", 3, "the row has no label"),
        ("text,label,group\nt,l,g\n\n  ,l,g\n", 4, "the row has no text"),
        ("text,label,group\nt,l\n", 2, "the row has no group"),
        ("text,label,group\nt,l,g,x\n", 2, "4 cells, the header has 3"),
        ('text,label,group\n"two\nlines",l,g\nt,,h\n', 4, "the row has no label"),
        ("text,label,group\nt,l,A & B\n", 2, "'&' and '(others)' mean something here"),
        ("text,label,group\nt,l,(others)\n", 2, "mean something here"),
        ('text,label,group\n"t,l,g\n', 2, "not valid CSV"),
        ("text,label,group\nt,l,g\nt,l,g\n", None, "all rows are of one group, 'g'; nothing can be compared"),
        ("text,label,group,group2\nt,l,yes,no\nt,l,no,yes\n", None, "'yes' is a group of two columns"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_with_its_line(
    text: str, line: int | None, said: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "bad.csv", text)
    with pytest.raises(ProbeFileError) as caught:
        load_labelled(path)

    assert said in caught.value.message
    assert caught.value.line == line
    assert caught.value.message.startswith(f"{path}:{line}: " if line else f"{path}: ")


def test_a_file_that_is_not_there_or_not_utf8_and_an_unknown_format_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.csv: no such file"):
        find_probe_set(f"labelled:{tmp_path}/none.csv")
    with pytest.raises(UsageError, match=r"unknown probe format 'labeled'\. Did you mean 'labelled'\?"):
        find_probe_set("labeled:x.csvv")
    (tmp_path / "latin.csv").write_bytes(b"text,label,group\ncaf\xe9,l,g\n")
    with pytest.raises(ProbeFileError, match=r"latin\.csv:2: byte 0xe9 is not UTF-8"):
        load_labelled(tmp_path / "latin.csv")


def test_other_pixels_are_other_questions(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "path,label,group\nx.png,cat,A\ny.png,cat,B\n")
    hashes = [load_labelled(path).sha256]
    for content in (b"1", b"2"):
        (tmp_path / "x.png").write_bytes(content)
        hashes.append(load_labelled(path).sha256)

    assert len(set(hashes)) == 3
    assert load_labelled(path).sha256 == hashes[-1]


def test_a_review_says_how_many_items_and_sources_a_group_has_and_which_images_are_missing(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "path,label,group,source\nx.png,cat,A,1\ny.png,dog,B,1\nz.png,dog,B,2\n")
    (tmp_path / "y.png").write_bytes(b"")
    found = remarks(load_labelled(path))

    assert "B: 2 items of 2 sources; most frequent labels: dog 2" in found
    assert "2 images are not there, such as that of line 2" in found
    assert "A: a single source is little: its intervals will be wide, and less certain than they say" in found


# the task


def test_a_label_is_matched_without_case_and_with_each_name_of_a_list(tmp_path: Path) -> None:
    labels = ("tench, Tinca tinca", "Crane", "crane", "Sea Lion")
    path = written(
        tmp_path / "a.csv",
        "text,label,group\na Sea Lion,x,A\n"  # no such label
        "it is crane,CRANE,A\nit is Crane,crane,B\nis crane,tinca  TINCA,B\n",
    )
    found = load_labelled(path)
    scores = labelled(Oracle((*labels, "x y")), found.items)

    assert [score.value for score in scores] == [None, 1.0, 1.0, 0.0]
    assert [score.note for score in scores] == ["the model has no label 'x'", "", "", ""]
    assert [(score.name, score.group, score.category) for score in scores[:2]] == [
        (CORRECT, "A", "x"),
        (CORRECT, "A", "CRANE"),
    ]


def test_what_has_no_answer_is_told_by_reason_with_the_lines_of_the_file(tmp_path: Path) -> None:
    rows = [{"path": f"{n}.png", "label": "l", "group": "AB"[n % 2]} for n in range(9)]
    found = load_labelled(table(tmp_path / "a.csv", rows))
    scores = scores_of(found, [1.0, 0.0, *[None] * 7])
    notes = unanswered(found, found.items, scores)

    named = ", ".join(f"line {n} ({n - 2}.png)" for n in range(4, 9))
    assert notes == (f"a: 7 of 9 items have no answer: lost: {named} and 2 more",)
    assert unanswered(found, found.items, scores_of(found, [1.0] * 9)) == ()


# the numbers


def by_hand(first: np.ndarray, correct: np.ndarray, source: np.ndarray) -> tuple[float, float, float]:
    """The gap of two shares and its interval: leave one source out at a time."""

    def gap(keep: np.ndarray) -> float:
        return float(correct[keep & first].mean() - correct[keep & ~first].mean())

    units = np.unique(source)
    left = np.array([gap(source != unit) for unit in units])
    error = math.sqrt((len(units) - 1) / len(units) * ((left - left.mean()) ** 2).sum())
    reach = stats.t.ppf(0.975, len(units) - 1) * error
    value = gap(np.ones(len(correct), dtype=bool))
    return value, value - reach, value + reach


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[ProbeSet, dict[str, np.ndarray]]:
    rng = np.random.default_rng(5)
    n = 240
    columns = {
        "group": rng.choice(["Africa", "Asia", "Europe"], n),
        "group2": rng.choice(["women", "men"], n),
        "label": rng.choice(["cat", "dog"], n),
        "source": rng.integers(0, 30, n).astype(str),
    }
    correct = (rng.random(n) < np.where(columns["group"] == "Africa", 0.6, 0.85)).astype(float)
    rows = [{"text": f"t{i}", **{key: values[i] for key, values in columns.items()}} for i in range(n)]
    found = load_labelled(table(tmp_path_factory.mktemp("sample") / "a.csv", rows))
    return found, {**columns, "correct": correct}


def test_accuracy_gaps_and_their_intervals_equal_a_jackknife_over_sources_by_hand(
    sample: tuple[ProbeSet, dict[str, np.ndarray]],
) -> None:
    found, columns = sample
    estimates = evaluate(found, found.items, scores_of(found, columns["correct"].tolist()), "labelled")
    joint = np.array([f"{a} & {b}" for a, b in zip(columns["group"], columns["group2"], strict=True)])
    members = {
        ("Africa", OTHERS): columns["group"] == "Africa",
        ("Asia & men", OTHERS): joint == "Asia & men",
        (columns["group2"][0], columns["group2"][columns["group2"] != columns["group2"][0]][0]): columns["group2"]
        == columns["group2"][0],
    }
    for pair, first in members.items():
        e = pick(estimates, "accuracy_gap", "all", pair)
        expected = by_hand(first, columns["correct"], columns["source"])
        assert (e.value, e.low, e.high) == pytest.approx(expected, abs=1e-9)
        assert (e.items, e.missing, e.units) == (240, 0, {"template": 30})
        assert (e.neutral, e.unit) == (0.0, "difference of shares")
        assert e.estimand == "other sources like these"


def test_gaps_of_true_positive_rates_are_gaps_among_the_items_of_one_label(
    sample: tuple[ProbeSet, dict[str, np.ndarray]],
) -> None:
    found, columns = sample
    estimates = evaluate(found, found.items, scores_of(found, columns["correct"].tolist()), "labelled")
    for label in ("cat", "dog"):
        of = columns["label"] == label
        inside = of & (columns["group"] == "Africa")
        outside = of & (columns["group"] != "Africa")
        expected = columns["correct"][inside].mean() - columns["correct"][outside].mean()
        gap = pick(estimates, "true_positive_rate_gap", f"category:{label}", ("Africa", OTHERS))
        assert gap.value == pytest.approx(expected, abs=1e-9)
        assert gap.items == of.sum()
        assert gap.family == REPORT
        assert gap.q_value is not None and gap.p_value is not None and gap.q_value >= gap.p_value
        rate = pick(estimates, "true_positive_rate", f"category:{label}")
        assert rate.value == pytest.approx(columns["correct"][of].mean(), abs=1e-9)


def test_accuracy_is_given_for_all_items_each_group_and_each_intersection(
    sample: tuple[ProbeSet, dict[str, np.ndarray]],
) -> None:
    found, columns = sample
    estimates = evaluate(found, found.items, scores_of(found, columns["correct"].tolist()), "labelled")

    assert pick(estimates, "accuracy").value == pytest.approx(columns["correct"].mean())
    for group, member in (
        ("Asia", columns["group"] == "Asia"),
        ("men", columns["group2"] == "men"),
        ("Asia & men", (columns["group"] == "Asia") & (columns["group2"] == "men")),
    ):
        e = pick(estimates, "accuracy", f"group:{group}")
        assert (e.value, e.items) == (pytest.approx(columns["correct"][member].mean()), member.sum())
        assert e.neutral is None
        assert e.low is not None and e.high is not None and e.low < (e.value or 0) < e.high
    assert not [e for e in estimates if OTHERS in e.scope]


def test_items_of_one_source_make_intervals_wider_than_as_many_sources_would(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows, correct = [], []
    for source in range(20):
        right = rng.random() < 0.6  # a source is right or wrong as a whole
        for n in range(10):
            rows.append({"text": f"{source} {n}", "label": "l", "group": "AB"[source % 2], "source": str(source)})
            correct.append(float(right))
    alone = [{key: value for key, value in row.items() if key != "source"} for row in rows]
    widths = []
    for name, told in (("shared.csv", rows), ("alone.csv", alone)):
        found = load_labelled(table(tmp_path / name, told))
        e = pick(evaluate(found, found.items, scores_of(found, correct), "labelled"), "accuracy_gap", "all", ("A", "B"))
        assert e.low is not None and e.high is not None
        widths.append(e.high - e.low)
    assert widths[0] > 2.5 * widths[1]


def test_missing_answers_are_counted_and_bound_the_accuracy(tmp_path: Path) -> None:
    rows = [{"text": str(n), "label": "l", "group": "AB"[n % 2]} for n in range(20)]
    found = load_labelled(table(tmp_path / "a.csv", rows))
    correct = [1.0, 0.0] * 8 + [None] * 4
    estimates = evaluate(found, found.items, scores_of(found, correct), "labelled")
    e = pick(estimates, "accuracy")

    assert (e.value, e.items, e.missing) == (0.5, 16, 4)
    assert (e.bound_low, e.bound_high) == (8 / 20, 12 / 20)
    assert pick(estimates, "accuracy", "group:A").missing == 2
    gap = pick(estimates, "accuracy_gap", "all", ("A", "B"))
    assert (gap.value, gap.items, gap.missing, gap.low) == (1.0, 16, 4, None)
    assert gap.reason == "all units agree exactly, so that there is no variance to estimate from"


def test_of_very_many_labels_only_the_frequent_ones_have_rates(tmp_path: Path) -> None:
    count = MOST_RATES + 50
    rows = [
        {"text": f"{n} {k}", "label": f"l{n}", "group": "AB"[k % 2]}
        for n in range(count)
        for k in range(2 if n < 50 else 4)
    ]
    found = load_labelled(table(tmp_path / "a.csv", rows))
    estimates = evaluate(found, found.items, scores_of(found, [1.0] * len(rows)), "labelled")
    told = {e.scope for e in estimates if e.metric == "true_positive_rate"}

    assert told == {f"category:l{n}" for n in range(50, count)}


def test_a_label_that_one_side_lacks_has_no_gap_and_one_label_has_no_rates(tmp_path: Path) -> None:
    rows = [
        {"text": str(n), "label": "l" if n < 8 else "only A", "group": "A" if n >= 8 else "AB"[n % 2]}
        for n in range(12)
    ]
    found = load_labelled(table(tmp_path / "a.csv", rows))
    estimates = evaluate(found, found.items, scores_of(found, [1.0] * 12), "labelled")
    assert [e.scope for e in estimates if e.metric == "true_positive_rate_gap"] == ["category:l"]

    found = load_labelled(table(tmp_path / "b.csv", rows[:8]))
    estimates = evaluate(found, found.items, scores_of(found, [1.0] * 8), "labelled")
    assert not [e for e in estimates if e.metric.startswith("true_positive")]


# from end to end: B6


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images of two colours, a network that tells them apart, and a file with planted wrong labels."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(1)
    rows = []
    planted = {"Africa": 0.25, "Europe": 0.0}
    for n in range(320):
        colour, group, place = n % 2, ("Africa", "Europe")[n // 2 % 2], ("town", "country")[n // 4 % 2]
        pixels = rng.integers(0, 90, (24, 20, 3))
        pixels[..., colour] += 120
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{n}.png")
        wrong = rng.random() < planted[group]
        label = ("red", "green")[colour ^ wrong]
        rows.append({"path": f"{n}.png", "label": label, "group": group, "group2": place, "source": f"s{n // 8}"})
    (folder / "corrupt.png").write_bytes((folder / "0.png").read_bytes()[:100])
    extra = {"label": "red", "group": "Africa", "group2": "town", "source": "s0"}
    rows += [{"path": "missing.png", **extra}, {"path": "corrupt.png", **extra}]
    rows += [{"path": "1.png", **extra, "label": "blue"}]
    table(folder / "photos.csv", rows)

    torch.manual_seed(0)
    config = hf.ResNetConfig(
        embedding_size=4,
        hidden_sizes=[4, 8],
        depths=[1, 1],
        id2label={0: "Red", 1: "Green"},
        label2id={"Red": 0, "Green": 1},
    )
    model = hf.ResNetForImageClassification(config)
    processor = hf.ViTImageProcessorPil(size={"height": 16, "width": 16})
    images = [Image.open(folder / f"{n}.png") for n in range(64)]
    inputs = processor(images=images, return_tensors="pt")["pixel_values"]
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(25):
        optimizer.zero_grad()
        model(pixel_values=inputs, labels=torch.arange(64) % 2).loss.backward()
        optimizer.step()
    for part in (model.eval(), processor):
        part.save_pretrained(folder / "model")
    return folder


@pytest.fixture(scope="module")
def run(photos: Path) -> RunRecord:
    return audit(str(photos / "model"), [f"labelled:{photos}/photos.csv"], store=photos / "store", device="cpu")


@needs_pillow
def test_the_planted_gap_lies_inside_its_interval_and_zero_does_not(run: RunRecord, photos: Path) -> None:
    e = pick(run.estimates, "accuracy_gap", "all", ("Africa", "Europe"))
    with (photos / "photos.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].removesuffix(".png").isdigit()][:320]
    wrong = [
        row["label"] != ("red", "green")[int(row["path"].removesuffix(".png")) % 2]
        for row in rows
        if row["group"] == "Africa"
    ]

    assert e.value == pytest.approx(-sum(wrong) / len(wrong), abs=1e-12), "the network itself makes no mistake"
    assert e.low is not None and e.high is not None
    assert e.low < -0.25 < e.high < 0
    assert e.units == {"template": 40}
    place = pick(run.estimates, "accuracy_gap", "all", ("town", "country"))
    assert place.low is not None and place.high is not None and place.low < 0 < place.high


@needs_pillow
def test_a_missing_file_a_corrupt_image_and_an_unknown_label_are_counted_and_told(run: RunRecord) -> None:
    assert run.probes[0].items == 323
    e = pick(run.estimates, "accuracy")
    assert (e.items, e.missing) == (320, 3)
    assert pick(run.estimates, "accuracy", "group:Africa").missing == 3
    assert pick(run.estimates, "accuracy", "group:Europe").missing == 0
    told = [note.partition(" has no answer: ") for note in run.notes if note.startswith("photos:")]
    assert [begin for begin, *_ in told] == ["photos: 1 of 323 items"] * 3
    missing, corrupt, unknown = (end for *_, end in told)
    assert missing == "no such file: line 322 (missing.png)"
    assert re.fullmatch(r"no image that can be read \(.*\): line 323 \(corrupt\.png\)", corrupt)
    assert unknown == "the model has no label 'blue': line 324 (1.png)"
    assert run.status == "complete"


@needs_pillow
def test_the_report_tells_accuracy_gaps_rates_and_what_has_no_answer(run: RunRecord) -> None:
    page = render_report([run])
    for text in (
        "The model is right about ",
        "The share of right answers for ",
        "No difference of the shares of right answers is shown for ",
        "Accuracy by group",
        "True positive rate gap of each label",
        "Label by label",
        "line 322 (missing.png)",
        "images from ",
        "sources",
        "The answers here are labels of given texts or images.",
    ):
        assert text in page, text
    assert "sentence pairs" not in page.partition('id="methods"')[0]
    assert " nats" not in page.partition("<footer")[0]


@needs_pillow
def test_a_text_classifier_is_not_asked_about_images_nor_an_image_classifier_about_texts(
    photos: Path, tmp_path: Path
) -> None:
    texts = written(tmp_path / "t.csv", "text,label,group\nx,Red,A\ny,Red,B\n")
    with pytest.raises(UsageError, match="'t' cannot be asked of a model of the kind 'image-classifier'") as caught:
        audit(str(photos / "model"), [f"labelled:{texts}"], store=tmp_path / "store", device="cpu")
    assert caught.value.hint == "it is for models of the kind classifier"
    with pytest.raises(UsageError, match="can be asked of a model of the kind 'image-classifier'"):
        audit(str(photos / "model"), store=tmp_path / "store", device="cpu")
    assert not (tmp_path / "store").exists()


def test_texts_go_through_a_text_classifier_as_one_at_a_time(tmp_path: Path) -> None:
    tokenizer = tiny.wordpiece()
    torch.manual_seed(0)
    config = hf.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
        initializer_range=1.0,
        id2label={0: "no", 1: "yes", 2: "maybe"},
    )
    model = hf.BertForSequenceClassification(config).eval()
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "model")
    rows = [
        {"text": text, "label": ("YES", "no")[n % 2], "group": "AB"[n // 2 % 2]} for n, text in enumerate(tiny.TEXT)
    ]
    found = load_labelled(table(tmp_path / "a.csv", rows))
    backend = open_model(find_model(str(tmp_path / "model"))).backend
    scores = INSTRUMENTS["labelled"].task(backend, found.items)

    for row, score in zip(rows, scores, strict=True):
        with torch.no_grad():
            logits = model(**tokenizer(row["text"], return_tensors="pt")).logits[0]
        assert score.value == float(int(logits.argmax()) == {"YES": 1, "no": 0}[row["label"]])
