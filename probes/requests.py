"""What can be asked of a model, what comes back, and the base class of all that answer.

A backend answers what it can and refuses the rest with a sentence that says what it answers. It never ignores a
field of a request: what it cannot honour, it refuses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

from fairprint.probes.errors import RefusalError


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelihoodRequest:
    """How probable is a text, or some spans of it, after a prefix?

    Prefix and text are joined and tokenised once; blanks at the end of the prefix belong to the text. A token belongs
    to a span if its characters without leading blanks overlap the span; a token of nothing but blanks belongs with the
    token that follows it.

    Attributes:
        text: the text to score.
        source: what the text is the target of, for encoder-decoder models (such as the sentence that it translates).
        languages: codes of the languages of source and text where the text is a translation, such as ``en`` and ``de``;
            None where it is none, or where the source says itself what is to be done with it.
        prefix: what stands before it and is not scored.
        spans: character ranges of ``text``, each scored apart; None scores the whole text as one span.
        beside: another text after the same prefix, for ``tokens``.
        beside_first: whether that one stands first in the comparison, which decides between blocks of equal length.
        tokens: ``all`` of the span; or only those that are ``shared`` with the text ``beside`` or ``differing`` from it
            (blocks that ``difflib.SequenceMatcher`` finds equal in the token ids; special tokens are compared, since
            they lengthen the blocks at both ends, and never scored).
        masking: how a masked model is asked for a token: with it ``alone`` masked; with it and all later tokens of its
            ``word``; with the text up to it and one mask in the place of it and all later tokens of its span
            (``first``); or with ``none`` masked. Other models take ``alone``, which masks nothing in them.
        start_for: which tokens of a causal model have its start token before them: ``all``, or the ``first`` alone,
            which the others then follow as if nothing stood before it.
    """

    text: str
    source: str | None = None
    languages: tuple[str, str] | None = None
    prefix: str = ""
    spans: tuple[tuple[int, int], ...] | None = None
    beside: str | None = None
    beside_first: bool = False
    tokens: Literal["all", "shared", "differing"] = "all"
    masking: Literal["alone", "word", "first", "none"] = "alone"
    start_for: Literal["all", "first"] = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanScore:
    """Log-probability of some tokens, in nats.

    Attributes:
        logprob: sum over the tokens, or None with the reason in ``note``.
        tokens: how many tokens were summed.
        note: why the value is absent, or what a reader must know of it.
        each: the log-probability of each token, in the order of the text; empty where a backend has sums only.
    """

    logprob: float | None
    tokens: int
    note: str = ""
    each: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelihoodResponse:
    """One score for each span of the request."""

    spans: tuple[SpanScore, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRequest:
    """How probable is each candidate, as a whole word, in the one slot of a text?

    Attributes:
        before: the text before the slot, blanks included.
        after: the text after the slot.
        candidates: the words that compete for the slot; no word twice, none empty.
        top: how many of the words that the model finds most probable there are wanted; 0 where there are candidates.
    """

    before: str
    after: str
    candidates: tuple[str, ...] = ()
    top: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FillResponse:
    """One score a candidate, and how much of the model's belief all of them hold.

    Attributes:
        scores: in the order of the candidates.
        mass: sum of the candidates' own probabilities at the slot, 0 to 1, or None where a candidate has no score.
        words: the most probable words, best first, with ``scores`` in their order, where the request has a ``top``;
            empty where the slot cannot be asked about, which one score then says.
    """

    scores: tuple[SpanScore, ...]
    mass: float | None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRequest:
    """Continue a prompt.

    Attributes:
        max_new_tokens: length of a continuation at the most.
        samples: how many continuations.
        temperature: 0 takes the most probable token each time (then ``samples`` is 1).
        top_p: nucleus sampling (Holtzman et al. 2020); 1 samples from the whole distribution.
        chat: the prompt is what a user says, and is put into the model's chat template.
        seed: makes the samples repeatable on one machine and version.
    """

    prompt: str
    max_new_tokens: int = 20
    samples: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    chat: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateResponse:
    """The continuations, without the prompt.

    Attributes:
        texts: one a sample; None where there is no answer.
        note: why an answer is absent, such as a refusal of a server.
    """

    texts: tuple[str | None, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyRequest:
    """Which label does a classifier give a text or an image? One of the two is given.

    Attributes:
        text: the text.
        image: path of the image.
    """

    text: str | None = None
    image: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyResponse:
    """Probability of each label, labels in the order of the model.

    Attributes:
        probabilities: one a label, or None with the reason in ``note`` (such as an image that cannot be read).
        exclusive: whether one label is right at a time, so that the probabilities sum to 1.
    """

    labels: tuple[str, ...]
    probabilities: tuple[float, ...] | None
    note: str = ""
    exclusive: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedRequest:
    """Where does a text lie in the space of an encoder?"""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedResponse:
    """The embedding of a text, or None with the reason in ``note``."""

    vector: tuple[float, ...] | None
    note: str = ""


REQUEST_NAMES = ("likelihood", "fill", "classify", "embed", "generate")


class Backend:
    """A model that answers requests. Subclasses override what they can answer; the rest refuses.

    Every method takes any number of requests and answers in their order; batching is the backend's business.

    Attributes:
        name: how the model is called in messages.
        takes_source: whether a likelihood is that of a target, given its source; such a backend scores no text without
            one, and the others score none with one.
        masks: whether it is asked for a token by masking, so that a likelihood is a pseudo-log-likelihood.
    """

    name: str = "this model"
    takes_source: bool = False
    masks: bool = False

    def answers(self) -> tuple[str, ...]:
        """Names of the requests that this backend answers."""
        return answered(type(self))

    def likelihood(self, requests: Sequence[LikelihoodRequest]) -> list[LikelihoodResponse]:
        """Score given text. Raises RefusalError where the model has no likelihoods."""
        self._refuse("likelihood")

    def fill(self, requests: Sequence[FillRequest]) -> list[FillResponse]:
        """Score candidates for a slot. Raises RefusalError where the model cannot."""
        self._refuse("fill")

    def classify(self, requests: Sequence[ClassifyRequest]) -> list[ClassifyResponse]:
        """Label texts. Raises RefusalError where the model is no classifier."""
        self._refuse("classify")

    def embed(self, requests: Sequence[EmbedRequest]) -> list[EmbedResponse]:
        """Embed texts. Raises RefusalError where the model is no encoder."""
        self._refuse("embed")

    def generate(self, requests: Sequence[GenerateRequest]) -> list[GenerateResponse]:
        """Continue prompts. Raises RefusalError where the model does not generate."""
        self._refuse("generate")

    def tokens(self) -> int | None:
        """How many tokens went through the model so far; None where it computes elsewhere, or not at all."""
        return None

    def notes(self) -> tuple[str, ...]:
        """What a reader must know of how the answers came about, so far."""
        return ()

    def _refuse(self, request: str) -> NoReturn:
        raise RefusalError(
            f"{self.name} cannot answer '{request}'; it answers: {', '.join(self.answers()) or 'nothing'}"
        )


def answered(backend: type[Backend]) -> tuple[str, ...]:
    """Return the names of the requests that a class of backends answers."""
    return tuple(name for name in REQUEST_NAMES if getattr(backend, name) is not getattr(Backend, name))
