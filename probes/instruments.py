"""The table of instruments: each is a named way of asking, made of one task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fairprint.probes import tasks, tasks_classify, tasks_embed
from fairprint.probes.errors import UsageError, nearest
from fairprint.probes.items import Item
from fairprint.probes.labelled import IMAGES, TEXTS
from fairprint.probes.requests import Backend
from fairprint.probes.scores import Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A named way of asking.

    Attributes:
        task: asks the items of one shard and returns their scores.
        needs: the request that a backend must answer.
        suits: what a probe set may score (``ProbeSet.scored``) to be asked so.
        summary: what is scored, for people.
        kinds: names of the kinds of models that it is for; None for every kind that answers ``needs``.
        gives_source: whether its likelihoods are those of a target, given the item's source.
    """

    name: str
    task: Callable[[Backend, Sequence[Item]], list[Score]]
    needs: str
    suits: tuple[str, ...]
    summary: str
    kinds: tuple[str, ...] | None = None
    gives_source: bool = False


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
            name="sentence",
            task=tasks.sentence,
            needs="likelihood",
            suits=("group", "lexeme", "rest"),
            summary="the whole sentence (masked: pseudo-log-likelihood, Salazar et al. 2020; causal: sum of token "
            "log-probabilities)",
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
            name="association",
            task=tasks_embed.association,
            needs="embed",
            suits=("association",),
            summary="the mean cosine similarity of each target word with the words of a group, alone or in the same "
            "sentence frame (Caliskan et al. 2017; in sentences, May et al. 2019)",
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
