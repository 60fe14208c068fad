"""The table of instruments: each is a named way of asking, made of one task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fairprint.probes import (
    tasks,
    tasks_choice,
    tasks_classify,
    tasks_continue,
    tasks_embed,
    tasks_pairs,
    tasks_referent,
)
from fairprint.probes.errors import UsageError, nearest
from fairprint.probes.forms import PAIR, PROMPT, QUESTION, REFERENT, SLOT, TEXT, TRIPLE
from fairprint.probes.items import Item
from fairprint.probes.labelled import IMAGES, TEXTS
from fairprint.probes.requests import Backend
from fairprint.probes.scores import Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A named way of asking.

    Attributes:
        task: asks the items of one shard and returns their scores; where it ``samples``, it takes a ``seed`` as well.
        needs: the request that a backend must answer.
        suits: what a probe set may score (``ProbeSet.scored``) to be asked so.
        summary: what is scored, for people.
        kinds: names of the kinds of models that it is for; None for every kind that answers ``needs``.
        gives_source: whether its likelihoods are those of a target, given the item's source.
        samples: whether its answers are drawn at random.
        version: raised with every change of what a model is asked, so that runs from before it are not compared.
    """

    name: str
    task: Callable[..., list[Score]]
    needs: str
    suits: tuple[str, ...]
    summary: str
    kinds: tuple[str, ...] | None = None
    gives_source: bool = False
    samples: bool = False
    version: int = 1

    def ask(self, backend: Backend, items: Sequence[Item], *, seed: int = 0) -> list[Score]:
        """Ask some items and return their scores; the seed is that of the run."""
        return self.task(backend, items, seed=seed) if self.samples else self.task(backend, items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ability:
    """What is known of a model before it is loaded: its kind, and the requests that models of this kind answer.

    Attributes:
        takes_source: as of the kind's backend.
    """

    kind: str
    answers: tuple[str, ...]
    takes_source: bool = False

    def suits(self, instrument: Instrument) -> bool:
        """Whether a model of this kind can be asked so."""
        if instrument.needs == "likelihood" and instrument.gives_source != self.takes_source:
            return False
        return instrument.needs in self.answers and (instrument.kinds is None or self.kind in instrument.kinds)


INSTRUMENTS = {
    instrument.name: instrument
    for instrument in (
        Instrument(
            name="fill",
            task=tasks.fill,
            needs="fill",
            suits=("group", "lexeme"),
            summary="the scored words as whole words in their slot (masked: PLL-word-l2r, Kauf & Ivanova 2023; "
            "causal: the words and all that follows, given what precedes; encoder-decoder: as a span that was taken "
            "out of the text in pre-training, Raffel et al. 2020, Lewis et al. 2020)",
        ),
        Instrument(
            name="after-group",
            task=tasks.after_group,
            needs="likelihood",
            suits=("rest",),
            summary="the text after the group word, which all variants share, given the group (masked: "
            "pseudo-log-likelihood of its tokens, Salazar et al. 2020; causal: sum of token log-probabilities)",
        ),
        Instrument(
            name="pll-shared-tokens",
            task=tasks_pairs.shared_tokens,
            needs="likelihood",
            suits=(PAIR,),
            summary="the tokens that both sentences share, each masked alone, summed (Nangia et al. 2020)",
            kinds=("masked",),
        ),
        Instrument(
            name="stereoset",
            task=tasks_pairs.stereoset,
            needs="likelihood",
            suits=(TRIPLE,),
            summary="as StereoSet's code scores (Nadeem et al. 2021). Masked: mean probability of the tokens of the "
            "filled word, left to right, with the blank that stands before it in the text (so bias-bench's figures of "
            "RoBERTa, Meade et al. 2022, and not its authors'). Causal: geometric mean of the token probabilities of "
            "the sentence",
            kinds=("masked", "causal"),
        ),
        Instrument(
            name="sentence",
            task=tasks.sentence,
            needs="likelihood",
            suits=("group", "lexeme", "rest", PAIR, TRIPLE, TEXT),
            summary="the whole sentence (masked: pseudo-log-likelihood, Salazar et al. 2020; causal: sum of token "
            "log-probabilities, as lm-evaluation-harness has it)",
        ),
        Instrument(
            name="second-half",
            task=tasks.taken_out,
            needs="fill",
            suits=(TEXT,),
            summary="the second half of the words of a text as a span that was taken out of it, as in pre-training "
            "(Raffel et al. 2020, Lewis et al. 2020), given the first half",
            kinds=("seq2seq",),
        ),
        Instrument(
            name="pll-differing-tokens",
            task=tasks_pairs.differing_tokens,
            needs="likelihood",
            suits=(PAIR,),
            summary="the tokens in which the sentences differ, each masked alone, averaged (bias-bench, Meade et al. "
            "2022)",
            kinds=("masked",),
        ),
        Instrument(
            name="aul",
            task=tasks_pairs.all_unmasked,
            needs="likelihood",
            suits=(PAIR,),
            summary="the whole sentence with no token masked, averaged over tokens (All Unmasked Likelihood, Kaneko & "
            "Bollegala 2021)",
            kinds=("masked",),
        ),
        Instrument(
            name="pll-word-l2r",
            task=tasks_pairs.word_by_word,
            needs="likelihood",
            suits=(PAIR,),
            summary="the whole sentence, each token masked with all later tokens of its word, summed (Kauf & Ivanova "
            "2023)",
            kinds=("masked",),
        ),
        Instrument(
            name="after-difference",
            task=tasks_pairs.after_difference,
            needs="likelihood",
            suits=(PAIR,),
            summary="the text that both sentences share after their last difference, given all that precedes it (sum "
            "of token log-probabilities)",
            kinds=("causal", "endpoint"),
        ),
        Instrument(
            name="translation",
            task=tasks.translation,
            needs="likelihood",
            suits=("target",),
            summary="the whole sentence and its end, given the sentence that it translates (sum of token "
            "log-probabilities)",
            gives_source=True,
        ),
        Instrument(
            name="classify",
            task=tasks_classify.classify,
            needs="classify",
            suits=("sentence",),
            summary="the probability of each label of the whole sentence, and which label is the most probable "
            "(counterfactual pairs, after Kiritchenko & Mohammad 2018)",
            kinds=("classifier",),
        ),
        Instrument(
            name="labelled",
            task=tasks_classify.labelled,
            needs="classify",
            suits=(TEXTS,),
            summary="whether the most probable label of a text is the one that its file gives",
            kinds=("classifier",),
        ),
        Instrument(
            name="labelled-images",
            task=tasks_classify.labelled,
            needs="classify",
            suits=(IMAGES,),
            summary="whether the most probable label of an image is the one that its file gives",
            kinds=("image-classifier",),
        ),
        Instrument(
            name="referent",
            task=tasks_referent.referent,
            needs="likelihood",
            suits=(REFERENT,),
            summary="which of two people a pronoun is said to refer to, in a statement after the sentence: the one "
            "whose name has the higher log-probability, summed over its tokens and not divided by their number "
            "(causal: given all that precedes, as lm-evaluation-harness asks Winogender; masked: "
            "pseudo-log-likelihood, each token masked alone, Salazar et al. 2020)",
        ),
        Instrument(
            name="association",
            task=tasks_embed.association,
            needs="embed",
            suits=("association",),
            summary="the mean cosine similarity of each target word with the words of a group, alone or in the same "
            "sentence frame (Caliskan et al. 2017; in sentences, May et al. 2019)",
        ),
        Instrument(
            name="choice-per-character",
            task=tasks_choice.per_character,
            needs="likelihood",
            suits=(QUESTION,),
            summary="each option after the question and a cue: the one with the most log-probability a character is "
            "the answer; options that tie share it",
        ),
        Instrument(
            name="choice-letters",
            task=tasks_choice.letters,
            needs="likelihood",
            suits=(QUESTION,),
            summary="the options listed as A, B and C under the question, in all three cyclic orders: the most "
            "probable letter is the answer; letters that tie share it",
        ),
        Instrument(
            name="choice-chat",
            task=tasks_choice.chat,
            needs="generate",
            suits=(QUESTION,),
            summary="a chat message with the options listed as A, B and C, in all three cyclic orders (as Jin et al. "
            f"2024 ask): the letter or option that the most probable answer of up to {tasks_choice.CHAT_TOKENS} tokens "
            "names; an answer that names none, or several, is counted apart",
            kinds=("causal", "endpoint"),
        ),
        Instrument(
            name="choice-answer",
            task=tasks_choice.answer,
            needs="generate",
            suits=(QUESTION,),
            summary="an answer in words: recorded ones as their file has them, matched with the options as Parrish et "
            "al. (2022) do; else the most probable continuation of the question with its options listed as A, B and C "
            "in the order of the file",
            kinds=("causal", "seq2seq", "endpoint"),
        ),
        Instrument(
            name="continuation",
            task=tasks_continue.continuation,
            needs="generate",
            suits=(PROMPT,),
            summary=f"{tasks_continue.SAMPLES} continuations of each prompt as raw text, of "
            f"{tasks_continue.TOKENS} tokens at the most ({tasks_continue.DRAWN}); what is judged is the "
            "continuation alone, without the prompt",
            kinds=("causal", "endpoint"),
            samples=True,
        ),
        Instrument(
            name="slot",
            task=tasks_continue.slot,
            needs="fill",
            suits=(SLOT,),
            summary=f"the {tasks_continue.WORDS} most probable words of the slot, of those that are one piece of the "
            "tokenizer and a whole word (Nozza, Bianchi & Hovy 2021 take pieces of words and punctuation as well)",
            kinds=("masked",),
        ),
        Instrument(
            name="slot-continued",
            task=tasks_continue.slot_continued,
            needs="generate",
            suits=(SLOT,),
            summary=f"{tasks_continue.WORDS} continuations of the text before the slot as raw text, of "
            f"{tasks_continue.SLOT_TOKENS} tokens at the most ({tasks_continue.DRAWN})",
            kinds=("causal", "endpoint"),
            samples=True,
        ),
    )
}


def find_instruments(names: Sequence[str], scored: str, ability: Ability | None = None) -> tuple[Instrument, ...]:
    """Return the named instruments that suit what a probe set scores; the set's own one where no name is given.

    Args:
        names: of instruments; where empty, the first that suits is taken, if any.
        scored: ``ProbeSet.scored``.
        ability: of the model; instruments that it does not suit are left out. None takes them all.

    Raises:
        UsageError: there is no instrument of that name.
    """
    for name in names:
        if name not in INSTRUMENTS:
            raise UsageError(
                f"no instrument '{name}'.{nearest(name, INSTRUMENTS)}", hint=f"instruments: {', '.join(INSTRUMENTS)}"
            )
    suitable = [
        instrument
        for instrument in INSTRUMENTS.values()
        if scored in instrument.suits and (ability is None or ability.suits(instrument))
    ]
    return tuple(i for i in suitable if i.name in names) if names else tuple(suitable[:1])
