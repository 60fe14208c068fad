"""Encoder-decoder language models: T5, BART, Marian and their relatives.

The likelihood is that of a target y given a source x: the sum of log P(y_t | y_<t, x) over its tokens and, where the
whole target is scored, the token that ends it. A token that the tokenizer puts in front (BART's <s>) is given, since it
is so in generation. The encoder runs once for each distinct source, and all its targets are decoded from that.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from fairprint.audit.backends.hf import (
    MAX_LOGITS,
    Encoded,
    TransformersBackend,
    absent,
    mass,
    span_score,
    unscorable,
)
from fairprint.audit.backends.pieces import refuse_choice, refuse_top
from fairprint.audit.backends.sampling import generated
from fairprint.audit.languages import codes_of
from fairprint.probes.errors import ModelError, RefusalError
from fairprint.probes.requests import (
    FillRequest,
    FillResponse,
    GenerateRequest,
    GenerateResponse,
    LikelihoodRequest,
    LikelihoodResponse,
    SpanScore,
)

_SENTINELS = ("<extra_id_0>", "<extra_id_1>")
"""T5's marks of the first span that was taken out of a text, and of what follows it."""

Ids = tuple[int, ...]
Row = tuple[int, Ids]
"""Which source of a batch, and the decoder's input."""
Wanted = dict[Ids, dict[tuple[int, int], float]]
"""For each input of the decoder, the log-probability of each wanted (position, token)."""


@dataclass(frozen=True, slots=True)
class Target:
    """Tokens of a target, and the indices of those whose log-probability is wanted, given a source."""

    source: Ids
    ids: Ids
    wanted: Ids


class EncoderDecoderBackend(TransformersBackend, ABC):
    """Answers likelihood of a target, given its source, and generates one; subclasses know what a source looks like."""

    takes_source = True

    def __init__(self, model: Any, tokenizer: Any, **options: Any) -> None:
        start = getattr(model.config, "decoder_start_token_id", None)
        if start is None:
            raise ModelError(
                f"{options.get('name')}: the config names no decoder_start_token_id to begin a target with"
            )
        self.start = int(start)
        super().__init__(model, tokenizer, **options)
        if not self.dry:
            self._check_start()

    def likelihood(self, requests: Sequence[LikelihoodRequest]) -> list[LikelihoodResponse]:
        """Score whole targets with their end, or spans of them, each token given the source and all tokens before it.

        Raises:
            RefusalError: a request without a source, or one that the tokenizer or the model cannot honour.
        """
        for request in requests:
            refuse_choice(self.name, request)
        plans = [(self._source(request), *self._target(request)) for request in requests]
        found = iter(
            self.target_logprobs(
                [
                    Target(source, encoded.ids, tuple(sorted({t for span in spans for t in span})))
                    for source, encoded, spans in plans
                    if not self._problem(source, encoded)
                ]
            )
        )
        responses = []
        for source, encoded, spans in plans:
            problem = self._problem(source, encoded)
            values = {} if problem else next(found)
            scores = (self._score(encoded, span, values, problem) for span in spans)
            responses.append(LikelihoodResponse(spans=tuple(scores)))
        return responses

    def generate(self, requests: Sequence[GenerateRequest]) -> list[GenerateResponse]:
        """Generate targets; the prompt is the source, as it stands. Its seed alone decides a request's samples."""
        return [self._generate(request) for request in requests]

    def target_logprobs(self, targets: Sequence[Target]) -> list[dict[int, float]]:
        """Return log P(token | tokens before it, source) in nats for the wanted tokens of each target, by index.

        Raises:
            ModelError: a single target does not fit into memory.
        """
        wanted: dict[Ids, Wanted] = {}
        for target in targets:
            if target.wanted:
                pairs = wanted.setdefault(target.source, {}).setdefault(self._row(target), {})
                pairs.update(dict.fromkeys(((t, target.ids[t]) for t in target.wanted), 0.0))
        self.counted += sum(len(source) + sum(map(len, rows)) for source, rows in wanted.items())
        order = [(number, ids) for number, ids in enumerate(sorted(wanted, key=lambda ids: (len(ids), ids)))]
        for batch in () if self.dry else self._cut(order, {}):
            self._within_memory(batch, lambda part: self._run_sources(part, wanted), lambda row: len(row[1]))
        return [
            {t: wanted[target.source][self._row(target)][t, target.ids[t]] for t in target.wanted} for target in targets
        ]

    def _row(self, target: Target) -> Ids:
        """The decoder sees a start token and all tokens before the last wanted one, which it predicts."""
        return (self.start, *target.ids[: target.wanted[-1]]) if target.wanted else ()

    def _cut(self, rows: Sequence[Row], logits: Mapping[Ids, int], least: int = 0) -> Iterator[list[Row]]:
        """Cut rows that are sorted by length into batches of a token budget; a row counts ``least`` tokens or more."""
        vocabulary = self._vocabulary()
        batch: list[Row] = []
        positions = 0
        for row in rows:
            here = logits.get(row[1], 0)
            full = (
                len(batch) >= self.batch_size
                or (len(batch) + 1) * max(len(row[1]), least) > self.batch_tokens
                or (positions + here) * vocabulary > MAX_LOGITS
            )
            if batch and full:
                yield batch
                batch, positions = [], 0
            batch.append(row)
            positions += here
        if batch:
            yield batch

    def _run_sources(self, batch: Sequence[Row], wanted: dict[Ids, Wanted]) -> None:
        """Encode some sources, and decode all targets of each."""
        sources = [ids for _, ids in batch]
        states, mask = self._encoded(sources)
        rows = sorted(
            ((number, ids) for number, source in enumerate(sources) for ids in wanted[source]),
            key=lambda row: (len(row[1]), row[1], row[0]),
        )
        logits = {ids: len({p for p, _ in pairs}) for source in sources for ids, pairs in wanted[source].items()}

        def decode(part: Sequence[Row]) -> None:
            places = [
                (r, p) for r, (n, ids) in enumerate(part) for p in sorted({p for p, _ in wanted[sources[n]][ids]})
            ]
            index = {place: n for n, place in enumerate(places)}
            keys = [(r, n, ids, key) for r, (n, ids) in enumerate(part) for key in wanted[sources[n]][ids]]
            values = self._values(
                self._decoded(states, mask, part, places),
                [index[r, position] for r, _, _, (position, _) in keys],
                [token for _, _, _, (_, token) in keys],
            )
            for (_, n, ids, key), value in zip(keys, values, strict=True):
                wanted[sources[n]][ids][key] = value

        for part in self._cut(rows, logits, least=states.shape[1]):
            self._within_memory(part, decode, lambda row: len(row[1]))

    def _encoded(self, sources: Sequence[Ids]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the encoder's states [source, token, hidden] and the mask of their tokens."""
        width = max(map(len, sources))
        mask = self._tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids in sources])
        with torch.inference_mode():
            out = self.model.get_encoder()(input_ids=self._padded(sources), attention_mask=mask)
        return out.last_hidden_state, mask

    def _decoded(
        self, states: torch.Tensor, mask: torch.Tensor, rows: Sequence[Row], places: Sequence[tuple[int, int]]
    ) -> torch.Tensor:
        """Return [place, vocabulary] logits of the given (row, position) pairs; padding stands after all of them."""
        from transformers.modeling_outputs import BaseModelOutput

        sources = self._tensor([number for number, _ in rows])
        return self._at_places(
            places,
            encoder_outputs=BaseModelOutput(last_hidden_state=states[sources]),
            attention_mask=mask[sources],
            decoder_input_ids=self._padded([ids for _, ids in rows]),
            use_cache=False,
        )

    def _body(self) -> Any:
        return self.model.get_decoder()

    def _some_logits(self) -> torch.Tensor:
        low = min(5, self._vocabulary() - 3)
        states, mask = self._encoded([(low, low + 1, low + 2), (low + 1,)])
        rows = [(0, (self.start, low, low + 1, low)), (1, (self.start, low + 2))]
        return self._decoded(states, mask, rows, [(0, 1), (0, 3), (1, 0)])

    def _vocabulary(self) -> int:
        return int(getattr(self.model.config, "decoder_vocab_size", None) or self.model.config.vocab_size)

    def _check_start(self) -> None:
        """Refuse a model that begins its targets in another way, such as with a code of their language at their end."""
        labels = [min(5, self._vocabulary() - 3) + n for n in range(3)]
        told = self.model.prepare_decoder_input_ids_from_labels(self._tensor([labels]))[0].tolist()
        if told != [self.start, *labels[:-1]]:
            raise ModelError(
                f"{self.name}: a {type(self.model).__name__} begins its targets in a way that is not known"
            )

    def _source(self, request: LikelihoodRequest) -> Ids:
        if request.source is None:
            raise RefusalError(f"{self.name} scores a text as the target of a source, and no source was given")
        return self._source_ids(self._instructed(request.source, request.languages))

    def _source_ids(self, text: str) -> Ids:
        return tuple(self.tokenizer(text, verbose=False).input_ids)

    @abstractmethod
    def _instructed(self, source: str, languages: tuple[str, str] | None) -> str:
        """Return a source with what tells the model its task."""

    def _target(self, request: LikelihoodRequest) -> tuple[Encoded, list[Ids]]:
        """Tokenise prefix and text together; return the tokens of each span."""
        start, end = len(request.prefix), len(request.prefix) + len(request.text)
        encoded = self.encode(request.prefix + request.text)
        if request.spans is not None:
            return encoded, [encoded.tokens_in((start + a, start + b)) for a, b in request.spans]
        own = encoded.tokens_in((start, end))
        return encoded, [(*own, *range(own[-1] + 1, len(encoded.ids))) if own else ()]

    def _problem(self, source: Ids, encoded: Encoded) -> str | None:
        long = self._too_long(len(source))
        return f"the source has {long}" if long else self._too_long(len(encoded.ids))

    def _score(self, encoded: Encoded, tokens: Ids, values: Mapping[int, float], problem: str | None) -> SpanScore:
        problem = problem or unscorable(encoded, tokens, whole=False)
        return absent(problem) if problem else span_score(encoded, tokens, [values[t] for t in tokens])

    def _generate(self, request: GenerateRequest) -> GenerateResponse:
        if request.chat:
            raise RefusalError(f"{self.name} is no chat model; it takes a prompt as the source of a target")
        ids = self._source_ids(request.prompt)
        problem = self._too_long(len(ids)) or self._too_long(request.max_new_tokens + 1)
        if problem:
            raise RefusalError(f"{self.name}: prompt or continuation have {problem}")
        settings = self.model.generation_config
        # the first token (BART's <s>) and what is never one (Marian's padding) belong to the format of a target
        kept = {name: getattr(settings, name, None) for name in ("forced_bos_token_id", "bad_words_ids")}
        out = generated(self.model, self.tokenizer, request, list(ids), decoder_start_token_id=self.start, **kept)
        return GenerateResponse(texts=tuple(self.tokenizer.batch_decode(out, skip_special_tokens=True)))


class Seq2SeqBackend(EncoderDecoderBackend):
    """T5 and BART: these fill a slot as they did in pre-training; a prefix tells a translation, where one is known."""

    def __init__(self, model: Any, tokenizer: Any, **options: Any) -> None:
        super().__init__(model, tokenizer, **options)
        ids = tokenizer.convert_tokens_to_ids(list(_SENTINELS))
        self.sentinels: Ids | None = None if None in ids or tokenizer.unk_token_id in ids else tuple(ids)
        denoises = model.config.model_type == "bart" and tokenizer.mask_token_id is not None
        self.mask: int | None = tokenizer.mask_token_id if denoises else None

    def answers(self) -> tuple[str, ...]:
        """Names of the requests that this backend answers: fill needs T5's sentinels or BART's mask."""
        able = self.sentinels is not None or self.mask is not None
        return tuple(name for name in super().answers() if able or name != "fill")

    def fill(self, requests: Sequence[FillRequest]) -> list[FillResponse]:
        """Score candidates as what was taken out of a text, given the text with a mark in their place.

        T5 (Raffel et al. 2020, section 3.1.4): log P(candidate <extra_id_1> | before <extra_id_0> after, <extra_id_0>);
        the closing sentinel says that the span ends there, and the mass counts it. BART (text infilling, Lewis et al.
        2020, section 2.2): log P(candidate after </s> | before <mask> after, <s> before), which differs from the
        likelihood of the whole restored text by what all candidates share; the mass counts their own tokens alone.

        Raises:
            RefusalError: the tokenizer has neither T5's sentinels nor, for BART, a mask.
        """
        if "fill" not in self.answers():
            self._refuse("fill")
        refuse_top(self.name, requests)
        plans = []
        for request in requests:
            for candidate in request.candidates:
                span = len(request.before), len(request.before) + len(candidate)
                encoded = self.encode(request.before + candidate + request.after)
                own = encoded.tokens_in(span)
                target = self._taken_out(encoded, own)
                plans.append((encoded, own, target, self._unfillable(encoded, own, span, target)))
        found = iter(self.target_logprobs([target for _, _, target, problem in plans if not problem]))
        scores: list[tuple[SpanScore, float | None]] = []
        for encoded, own, target, problem in plans:
            if problem:
                scores.append((absent(problem), None))
                continue
            values = next(found)
            ordered = [values[t] for t in target.wanted]
            counted = ordered if self.sentinels else ordered[: len(own)]
            told = own if self.sentinels else target.wanted
            scores.append((span_score(encoded, told, ordered), math.fsum(counted)))
        answers = iter(scores)
        responses = []
        for request in requests:
            pairs = [next(answers) for _ in request.candidates]
            responses.append(
                FillResponse(scores=tuple(score for score, _ in pairs), mass=mass([own for _, own in pairs]))
            )
        return responses

    def _taken_out(self, encoded: Encoded, own: Ids) -> Target:
        """Return the text with a mark in place of a word, and the target that restores it."""
        if not own:
            return Target((), (), ())
        before, word, after = encoded.ids[: own[0]], encoded.ids[own[0] : own[-1] + 1], encoded.ids[own[-1] + 1 :]
        if self.sentinels:
            opens, closes = self.sentinels
            return Target((*before, opens, *after), (opens, *word, closes), tuple(range(1, len(word) + 2)))
        return Target((*before, self.mask or 0, *after), encoded.ids, tuple(range(own[0], len(encoded.ids))))

    def _unfillable(self, encoded: Encoded, own: Ids, span: tuple[int, int], target: Target) -> str | None:
        problem = self._too_long(max(len(target.source), len(target.ids))) or unscorable(encoded, own, whole=True)
        ranges = [r for r in (encoded.ranges[t] for t in own) if r is not None]
        if not problem and any(start < span[0] or end > span[1] for start, end in ranges):
            return "a token covers both the word and the text beside it"
        return problem

    def _instructed(self, source: str, languages: tuple[str, str] | None) -> str:
        """Put the prefix before a source that the config names for a translation, as T5's does."""
        if languages is None:
            return source
        told = getattr(self.model.config, "task_specific_params", None) or {}
        known = {name: task.get("prefix") or "" for name, task in told.items() if name.startswith("translation_")}
        asked = "translation_{}_to_{}".format(*(code.partition("-")[0] for code in languages))
        if known and asked not in known:
            raise RefusalError(f"{self.name} knows no task '{asked}'; its config names {', '.join(known)}")
        if not known:
            self._notes["the config names no prefix for translations: the source was given as it stands"] = None
        return known.get(asked, "") + source


class TranslationBackend(EncoderDecoderBackend):
    """Marian: translates, and fills nothing. Its tokenizer does not say which characters a token covers."""

    needs_characters = False

    def _target(self, request: LikelihoodRequest) -> tuple[Encoded, list[Ids]]:
        if request.spans is not None or request.prefix:
            asked = "spans" if request.spans is not None else "what follows a prefix"
            raise RefusalError(
                f"{self.name} cannot score {asked}, since its tokenizer does not say which characters a token covers; "
                "it scores whole targets"
            )
        ids = tuple(self.tokenizer(text_target=request.text, verbose=False).input_ids)
        unknown = self.tokenizer.unk_token_id
        encoded = Encoded(ids, (None,) * len(ids), tuple(token == unknown for token in ids))
        return encoded, [tuple(range(len(ids))) if len(ids) > 1 else ()]

    def _instructed(self, source: str, languages: tuple[str, str] | None) -> str:
        """Check the languages; put the code of the target language before a source, where there are several."""
        if languages is None:
            return source
        marks = getattr(self.tokenizer, "supported_language_codes", None) or []
        if marks:
            wanted = codes_of(languages[1])
            mark = next((mark for mark in marks if codes_of(mark.strip("<>")) & wanted), None)
            if mark is None:
                raise RefusalError(
                    f"{self.name} does not translate into {languages[1]}; it does into {' '.join(marks)}"
                )
            return f"{mark} {source}"
        for side, code in zip(("source_lang", "target_lang"), languages, strict=True):
            told = getattr(self.tokenizer, side, None)
            if told and codes_of(told) and not codes_of(told) & codes_of(code):
                way = "from" if side == "source_lang" else "into"
                raise RefusalError(f"{self.name} translates {way} {told}, not {way} {code}")
        return source
