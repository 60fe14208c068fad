"""Probe sets of translations: the schema, the words of our own sets, whom they are asked of, and what they find."""

import random
import re
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import yaml
from tiny_seq2seq import bart, marian, marian_tokenizer, saved, t5, tokenizer_of

from fairprint.audit.backends.seq2seq import Seq2SeqBackend
from fairprint.audit.evaluate import evaluate
from fairprint.audit.kinds import KINDS
from fairprint.audit.questions import prepare
from fairprint.audit.records import Estimate
from fairprint.audit.runner import audit, suite_languages
from fairprint.audit.sources import find_model
from fairprint.probes.catalog import own_set
from fairprint.probes.errors import ProbeFileError, UsageError
from fairprint.probes.files import load_probe_file
from fairprint.probes.items import ProbeSet
from fairprint.probes.tasks import translation
from fairprint.reports.wording import finding

pytestmark = pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")

LANGUAGES = ("de", "fr", "es")
EACH = pytest.mark.parametrize("language", LANGUAGES)
DATA = Path(__file__).parents[1] / "probes" / "data"


def texts(probe_set: ProbeSet, group: str) -> list[str]:
    return [v.text for item in probe_set.items for v in item.variants if v.group == group]


# --- the schema ------------------------------------------------------------------------------------------------------

FILE = """\
format: 1
name: small
version: 1
title: Small
summary: A small set.
measures: nothing
harm_type: none
language: fr
licence: CC0-1.0
sources: [made up]
criticism: [small]
cannot_show: [anything]
groups:
- {id: male, label: men, forms: {tired: fatigué}}
- {id: female, label: women, forms: {tired: fatiguée}}
source_language: en
scored: target
templates:
- {id: tired, source: "The {lexeme} is tired.", text: "{lexeme.group} est {group.tired}."}
- {id: seen, source: "I saw the {lexeme}.", text: "J'ai vu {lexeme.object-group}."}
lexemes:
- {id: baker, category: c, forms: {male: Le boulanger, female: La boulangère, object-male: le boulanger,
   object-female: la boulangère}}
- {id: lawyer, text: attorney, category: c, forms: {male: L'avocat, female: L'avocate, object-male: l'avocat,
   object-female: l'avocate}}
"""


def load(tmp_path: Path, content: str) -> ProbeSet:
    path = tmp_path / "small.yaml"
    path.write_text(content, encoding="utf-8")
    return load_probe_file(path)


def test_a_translation_has_its_source_its_languages_and_the_forms_of_each_group(tmp_path: Path) -> None:
    found = load(tmp_path, FILE)
    first, _, _, last = found.items
    assert (first.source, first.languages) == ("The baker is tired.", ("en", "fr"))
    assert [v.text for v in first.variants] == ["Le boulanger est fatigué.", "La boulangère est fatiguée."]
    assert last.source == "I saw the attorney."
    assert [v.text for v in last.variants] == ["J'ai vu l'avocat.", "J'ai vu l'avocate."]
    assert all(v.words == v.text for item in found.items for v in item.variants)
    assert found.unused_forms == ()


def test_a_form_of_a_group_that_no_template_uses_is_told(tmp_path: Path) -> None:
    content = FILE.replace("J'ai vu {lexeme.object-group}", "J'ai vu {lexeme.object-male}")
    with pytest.raises(ProbeFileError, match=r"template 'seen' has no \{group\} slot"):
        load(tmp_path, content)
    found = load(tmp_path, content.replace("object-male}.", "object-male} {group.tired}."))
    assert found.unused_forms == tuple(f"the form 'object-female' of lexeme '{name}'" for name in ("baker", "lawyer"))


def test_a_set_without_sources_has_none() -> None:
    assert {(item.source, item.languages) for item in own_set("gendered-occupations").items} == {(None, None)}


def test_a_form_of_a_group_can_stand_in_any_set(tmp_path: Path) -> None:
    content = FILE.replace("source_language: en\n", "").replace("scored: target", "scored: group")
    content = re.sub(r'source: "[^"]*", ', "", content).replace(" est {group.tired}", " est ici")
    found = load(tmp_path, content)
    assert [v.words for v in found.items[0].variants] == ["Le boulanger", "La boulangère"]


@pytest.mark.parametrize(
    ("old", "new", "message", "line"),
    [
        (' source: "I saw the {lexeme}.",', "", "go together", 20),
        ("source_language: en\n", "", "go together", 18),
        ("scored: target", "scored: group", "go together", 19),
        (
            "I saw the {lexeme}",
            "I saw {group.tired}",
            "a source, which is the same for all groups, has no form 'tired'",
            20,
        ),
        ("I saw the {lexeme}", "I saw {lexeme.object-group}", "'baker' has no form 'object-group'", 20),
        ("I saw the {lexeme}", "I saw nobody", "the source of template 'seen' has no {lexeme} slot", 20),
        ("I saw the {lexeme}", "I saw the {lexem}", "unknown slot {lexem}", 20),
        ("I saw the {lexeme}", "I saw the {lexeme", "a brace has no partner", 20),
        ("object-group", "genitive-group", "lexeme 'baker' has no form 'genitive-male'", 20),
        ("source_language: en", "source_language: English", "'source_language' is 'English'", 16),
    ],
)
def test_a_mistake_is_told_with_its_line(old: str, new: str, message: str, line: int, tmp_path: Path) -> None:
    assert old in FILE
    with pytest.raises(ProbeFileError) as caught:
        load(tmp_path, FILE.replace(old, new))
    assert message in caught.value.message
    assert caught.value.line == line


# --- our own sets ----------------------------------------------------------------------------------------------------


@EACH
def test_a_set_asks_about_38_occupations_in_12_templates(language: str) -> None:
    found = own_set(f"translation-{language}")
    assert (found.language, found.scored) == (language, "target")
    assert (len(found.templates), len(found.lexemes), found.sentences) == (12, 38, 2 * 12 * 38)
    assert {item.languages for item in found.items} == {("en", language)}
    assert [(pair.first, pair.second) for pair in found.comparisons] == [("male", "female")]
    assert found.unused_forms == ()


@EACH
def test_its_occupations_carry_the_published_shares_and_the_directions_that_follow_from_them(language: str) -> None:
    published = {item.lexeme: item for item in own_set("gendered-occupations").items}
    found = own_set(f"translation-{language}")
    for item in found.items:
        assert item.covariate == published[item.lexeme].covariate
        assert item.category == published[item.lexeme].category
        assert item.directions == published[item.lexeme].directions[:1]
    signs = [{i.lexeme: i.directions[0] for i in found.items}[lexeme] for lexeme in found.lexemes]
    assert (signs.count(1), signs.count(-1)) == (16, 16)
    assert found.covariate_group == "female"


def test_all_sets_ask_about_the_same_english_sentences() -> None:
    first, *others = ([(i.id, i.source) for i in own_set(f"translation-{language}").items] for language in LANGUAGES)
    assert all(other == first for other in others)


@EACH
def test_an_english_sentence_says_nobody_s_gender(language: str) -> None:
    gendered = {"he", "she", "his", "her", "him", "himself", "herself", "man", "woman", "mr", "mrs", "ms"}
    for item in own_set(f"translation-{language}").items:
        assert item.source is not None
        words = re.findall(r"[a-z]+", item.source.lower())
        assert not gendered & set(words)
        assert item.lexeme in words


@EACH
def test_its_sentences_are_clean_and_none_stands_twice(language: str) -> None:
    found = own_set(f"translation-{language}")
    every = texts(found, "male") + texts(found, "female")
    assert len(set(every)) == len(every)
    for text in every:
        assert text[0].isupper()
        assert text.endswith(".")
        assert "  " not in text
        assert not set("{}") & set(text)


def entries(language: str) -> list[dict[str, str]]:
    content = yaml.safe_load((DATA / f"translation-{language}.yaml").read_text(encoding="utf-8"))
    return [entry["forms"] for entry in content["lexemes"]]


def test_german_articles_agree_with_gender_and_case() -> None:
    weak = {"Chirurg": "en", "Psychologe": "n", "Therapeut": "en", "Rezeptionist": "en", "Diätassistent": "en"}
    for forms in entries("de"):
        article, noun = forms["male"].split()
        assert (article, forms["object-male"]) == ("Der", f"den {noun}{weak.get(noun, '')}")
        article, noun = forms["female"].split()
        assert (article, forms["object-female"]) == ("Die", f"die {noun}")
        assert noun.endswith(("in", "frau", "schwester"))
        assert noun[0].isupper()
    assert sum(forms["male"].split()[1] in weak for forms in entries("de")) == len(weak)


def test_french_articles_are_elided_before_a_vowel_and_there_the_noun_tells_the_gender() -> None:
    for forms in entries("fr"):
        for group, article in (("male", "le "), ("female", "la ")):
            object_form = forms[f"object-{group}"]
            noun = object_form.removeprefix("l'").removeprefix(article)
            assert object_form == (f"l'{noun}" if noun[0] in "aeiouéêâî" else f"{article}{noun}")
            assert noun[0] != "h"
            assert forms[group] == object_form[0].upper() + object_form[1:]
        assert forms["object-male"] != forms["object-female"]


def test_french_participles_and_adjectives_agree() -> None:
    for words in ("arrivé", "fatigué", "rentré"):
        by_group = [
            sum(f" {words}{end}" + " " in t.replace(".", " ") for t in texts(own_set("translation-fr"), g))
            for g, end in (("male", ""), ("female", "e"))
        ]
        assert by_group == [38, 38]
    assert sum(" contente " in text for text in texts(own_set("translation-fr"), "female")) == 38
    assert not any(" contente " in text for text in texts(own_set("translation-fr"), "male"))


def test_spanish_articles_and_adjectives_agree_and_a_person_as_object_has_its_preposition() -> None:
    for forms in entries("es"):
        assert forms["male"] == "El " + forms["object-male"].removeprefix("al ")
        assert forms["female"] == "La " + forms["object-female"].removeprefix("a la ")
        assert forms["object-male"].startswith("al ")
        assert forms["object-female"].startswith("a la ")
        man, woman = forms["male"].split()[1], forms["female"].split()[1]
        assert woman in (man, man[:-1] + "a", man + "a")
        assert woman == man or woman.endswith("a")
    for word in ("cansad", "content"):
        for group, end in (("male", "o"), ("female", "a")):
            told = [text for text in texts(own_set("translation-es"), group) if f" {word}" in text]
            assert len(told) == 38
            assert all(f" {word}{end}" in text for text in told)


# --- whom they are asked of ------------------------------------------------------------------------------------------


def asked(kind: str, languages: tuple[str, ...], **options: Any) -> list[str]:
    return [p.name for p in prepare(languages=languages, ability=KINDS[kind].ability(), **options).probe_sets]


def test_a_translation_model_is_asked_the_sets_of_its_target_language_and_no_others() -> None:
    assert asked("translation", ("de",)) == ["translation-de"]
    assert asked("translation", ("en", "de", "es")) == ["translation-de", "translation-es"]
    with pytest.raises(
        UsageError, match="no probe set of ours in en can be asked of a model of the kind 'translation'"
    ):
        asked("translation", ("en",))


def test_masked_and_causal_models_are_not_asked_for_translations() -> None:
    for kind in ("masked", "causal"):
        names = asked(kind, ("en", "de", "fr", "es"))
        assert names
        assert not any(name.startswith("translation") for name in names)
        with pytest.raises(UsageError, match=f"'translation-de' cannot be asked of a model of the kind '{kind}'"):
            prepare(["translation-de"], ability=KINDS[kind].ability())


def test_other_encoder_decoders_are_asked_to_fill_and_to_translate_only_by_name() -> None:
    ability = KINDS["seq2seq"].ability()
    found = prepare(languages=("en", "de"), ability=ability)
    assert found.instrument_names == ("fill", "second-half")
    assert "gendered-occupations" in {p.name for p in found.probe_sets}
    assert "translates is not known" in found.not_asked["translation-de"]
    named = prepare(["translation-de", "gendered-occupations"], ability=ability)
    assert named.instrument_names == ("translation", "fill")


def test_a_model_s_languages_are_the_one_that_its_tokenizer_translates_into_else_those_of_its_card(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "marian"}')
    (tmp_path / "README.md").write_text("---\nlanguage:\n- en\n- de\n---\n")
    source = find_model(str(tmp_path))
    assert suite_languages(source, ())[0] == ("en", "de")
    (tmp_path / "tokenizer_config.json").write_text('{"target_lang": "deu"}')
    languages, how = suite_languages(source, ())
    assert languages == ("de",)
    assert "its tokenizer says" in how
    assert suite_languages(source, ("fr",))[0] == ("fr",)


def test_an_audit_of_a_translation_model_asks_the_set_of_its_language(tmp_path: Path) -> None:
    tokenizer = marian_tokenizer(tmp_path / "pieces", source_lang="en", target_lang="de")
    folder = saved(tmp_path / "opus", marian(tokenizer), tokenizer)
    record = audit(str(folder), store=tmp_path / "runs", limit=76)
    assert [p.name for p in record.probes] == ["translation-de"]
    assert record.plan.model.kind == "translation"
    gap = next(e for e in record.estimates if e.metric == "group_gap" and e.scope == "all")
    assert (gap.items, gap.missing, gap.unit) == (76, 0, "nats")
    assert {e.instrument for e in record.estimates} == {"translation-de / translation"}
    told = re.sub(r"<[^>]+>", "", str(finding(gap, record.probes[0])))
    assert told.startswith("The model finds a translation typically ")
    assert "with the masculine form" in told and "with the feminine form" in told


def test_an_audit_of_a_t5_fills_our_english_sets(tmp_path: Path) -> None:
    tokenizer = tokenizer_of("T5")
    record = audit(t5(tokenizer), ["gendered-occupations"], tokenizer=tokenizer, store=tmp_path / "runs", limit=60)
    assert {e.instrument for e in record.estimates} == {"gendered-occupations / fill"}
    assert any(e.metric == "candidate_mass" for e in record.estimates)


# --- what they find --------------------------------------------------------------------------------------------------

SET = own_set("translation-de")


def translated(share: float, seed: int, *, stereotyped: bool) -> list[tuple[str, str]]:
    """Sentence pairs in which the masculine, or the stereotyped, translation stands with probability ``share``."""
    rng = random.Random(seed)
    pairs = []
    for item in SET.items:
        by_group = {variant.group: variant.text for variant in item.variants}
        first = "female" if stereotyped and item.directions[0] < 0 else "male"
        other = {"male": "female", "female": "male"}[first]
        likely = share if item.directions[0] or not stereotyped else 0.5
        pairs += [(item.source or "", by_group[first if rng.random() < likely else other]) for _ in range(4)]
    return pairs


def found(pairs: list[tuple[str, str]], seed: int, steps: int = 150) -> dict[str, Estimate]:
    """Train a small model to translate so, and audit it."""
    every = [variant.text for item in SET.items for variant in item.variants]
    tokenizer = tiny.words([*every, *(item.source or "" for item in SET.items)])
    tokenizer.eos_token = "[SEP]"
    torch.manual_seed(seed)
    model = bart(tokenizer, init_std=0.05, encoder_layers=1, decoder_layers=1)
    with torch.no_grad():
        model.final_logits_bias.zero_()
    sources = tokenizer([source for source, _ in pairs], padding=True, return_tensors="pt")
    targets = tokenizer([target for _, target in pairs], padding=True, return_tensors="pt")
    labels = targets["input_ids"].masked_fill(targets["attention_mask"] == 0, -100)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model.train()
    for _ in range(steps):
        rows = torch.randint(len(pairs), (128,), generator=generator)
        optimizer.zero_grad()
        inputs = {name: values[rows] for name, values in sources.items() if name != "token_type_ids"}
        model(**inputs, labels=labels[rows]).loss.backward()
        optimizer.step()
    backend = Seq2SeqBackend(model.eval(), tokenizer, name="tiny")
    estimates = evaluate(SET, SET.items, translation(backend, SET.items), "translation")
    return {estimate.metric: estimate for estimate in estimates if estimate.scope == "all"}


def test_a_planted_masculine_preference_is_found() -> None:
    gap = found(translated(0.9, 1, stereotyped=False), 1)["group_gap"]
    assert gap.value is not None and gap.low is not None
    assert gap.low > 0
    # trained on nine masculine translations for one feminine one: log 9 = 2.2
    assert 1 < gap.value < 4


def test_a_planted_feminine_preference_is_found_in_its_direction() -> None:
    gap = found(translated(0.1, 2, stereotyped=False), 2)["group_gap"]
    assert gap.high is not None and gap.high < 0


def test_a_planted_stereotype_is_found() -> None:
    estimates = found(translated(0.9, 3, stereotyped=True), 3)
    for metric, neutral in {"stereotype_score": 0.5, "stereotype_score_centred": 0.5, "signed_effect": 0.0}.items():
        low = estimates[metric].low
        assert low is not None and low > neutral, (metric, estimates[metric])


def test_at_most_one_of_three_models_without_a_preference_raises_a_false_alarm() -> None:
    alarms = 0
    for seed in range(3):
        effect = found(translated(0.5, seed, stereotyped=True), seed)["signed_effect"]
        assert effect.low is not None and effect.high is not None
        alarms += not effect.low <= 0 <= effect.high
    assert alarms <= 1
