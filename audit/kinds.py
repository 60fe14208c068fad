"""The kinds of models that can be audited: how each is told, loaded, and which backend answers for it."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from fairprint.audit.sources import Source, text_of
from fairprint.probes.errors import ModelError
from fairprint.probes.instruments import Ability
from fairprint.probes.requests import answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of models.

    Attributes:
        name: as records say it.
        architectures: what the name of its model class ends in.
        auto_class: class of transformers that loads it.
        backend: module of ``fairprint.audit.backends`` and class in it.
        examples: for messages.
        reads: ``text`` with a tokenizer, or ``images`` with an image processor.
        unused: parts of the model that its backend does not use, so that a checkpoint can lack them.
        extra: a package that its tokenizer needs, and the extra of fairprint that brings it.
    """

    name: str
    architectures: tuple[str, ...]
    auto_class: str
    backend: tuple[str, str]
    examples: str
    reads: str = "text"
    unused: tuple[str, ...] = ()
    extra: tuple[str, str] | None = None

    def load_class(self) -> Any:
        """Return the class of transformers."""
        import transformers

        return getattr(transformers, self.auto_class)

    def backend_class(self) -> Any:
        """Return the class of the backend."""
        module, name = self.backend
        return getattr(import_module(f"fairprint.audit.backends.{module}"), name)

    def ability(self) -> Ability:
        """Return what models of this kind can be asked."""
        backend = self.backend_class()
        return Ability(kind=self.name, answers=answered(backend), takes_source=backend.takes_source)


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="masked",
            architectures=("ForMaskedLM",),
            auto_class="AutoModelForMaskedLM",
            backend=("masked", "MaskedBackend"),
            examples="masked language models (BERT, DistilBERT, RoBERTa, ALBERT ...)",
        ),
        Kind(
            name="causal",
            architectures=("ForCausalLM", "LMHeadModel"),
            auto_class="AutoModelForCausalLM",
            backend=("causal", "CausalBackend"),
            examples="causal language models (GPT, GPT-2, Llama ...)",
        ),
        Kind(
            name="seq2seq",
            # not every ForConditionalGeneration: that is also what models that hear or see are called
            architectures=("T5ForConditionalGeneration", "BartForConditionalGeneration"),
            auto_class="AutoModelForSeq2SeqLM",
            backend=("seq2seq", "Seq2SeqBackend"),
            examples="encoder-decoder language models (T5, BART ...)",
        ),
        Kind(
            name="translation",
            architectures=("MarianMTModel",),
            auto_class="AutoModelForSeq2SeqLM",
            backend=("seq2seq", "TranslationBackend"),
            examples="translation models (Marian)",
            extra=("sentencepiece", "seq2seq"),
        ),
        Kind(
            name="classifier",
            architectures=("ForSequenceClassification",),
            auto_class="AutoModelForSequenceClassification",
            backend=("classifier", "ClassifierBackend"),
            examples="text classifiers (any ForSequenceClassification)",
        ),
        Kind(
            name="image-classifier",
            architectures=("ForImageClassification", "ForImageClassificationWithTeacher"),
            auto_class="AutoModelForImageClassification",
            backend=("classifier", "ImageClassifierBackend"),
            examples="image classifiers (ViT, ResNet ...)",
            reads="images",
        ),
        Kind(
            name="encoder",
            architectures=(),  # told by a list of classes, since their names have no ending of their own
            auto_class="AutoModel",
            backend=("encoder", "EncoderBackend"),
            examples="embedding models (encoders without a head, sentence-transformers folders)",
            unused=("pooler",),
        ),
        Kind(
            name="endpoint",
            architectures=(),  # no class of transformers: a server answers
            auto_class="",
            backend=("endpoint", "EndpointBackend"),
            examples="models behind OpenAI-compatible servers (openai:MODEL@URL)",
        ),
    )
}

_NO_LANGUAGE_MODELS = {
    "ElectraForPreTraining": "a discriminator: it tells replaced words from original ones, and gives no word a "
    "probability; its generator (ElectraForMaskedLM) can be audited, and its body (ElectraModel) as an embedding model"
}
"""Classes that might be taken for language models, and why they are none."""


def works() -> str:
    """Say which kinds of models can be audited."""
    return "works so far: " + "; ".join(kind.examples for kind in KINDS.values())


def refusal(architecture: str) -> str:
    """Say why a model class cannot be audited, as the end of a sentence."""
    return f"{_NO_LANGUAGE_MODELS.get(architecture, 'which cannot be audited')}; {works()}"


def kind_of_class(architecture: str) -> Kind | None:
    """Return the kind of a model class, by the end of its name; that of an encoder without a head by its name."""
    found = next((kind for kind in KINDS.values() if architecture.endswith(kind.architectures)), None)
    return found or (KINDS["encoder"] if architecture in _encoders() else None)


@cache
def _encoders() -> frozenset[str]:
    """Return the classes of encoders without a head: of the types that fill masks, and that have no decoder."""
    from transformers.models.auto import modeling_auto as auto

    types = set(auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES) - set(auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES)
    found = [auto.MODEL_MAPPING_NAMES.get(model_type, ()) for model_type in sorted(types)]
    return frozenset(name for names in found for name in ([names] if isinstance(names, str) else names))


def model_kind(config: Any, name: str) -> Kind:
    """Return the kind of a model: from the architectures of its config, else by its model type.

    The config of an encoder that was trained on from a masked language model may still name that; where
    sentence-transformers saved it, its modules.json says what it is now.

    Raises:
        ModelError: another kind; the message says what works so far.
    """
    kind = _named_kind(config, name)
    return KINDS["encoder"] if kind.name == "masked" and _makes_sentence_vectors(config) else kind


def _makes_sentence_vectors(config: Any) -> bool:
    place = str(config.name_or_path or "")
    source = Source(name=place, location=place, revision=getattr(config, "_commit_hash", None))
    try:
        return bool(place and text_of(source, "modules.json"))
    except (OSError, ValueError):
        return False


def _named_kind(config: Any, name: str) -> Kind:
    from transformers.models.auto import modeling_auto as auto

    for architecture in config.architectures or ():
        kind = kind_of_class(architecture)
        if kind:
            return kind
        other = "For" in architecture and not architecture.endswith("ForPreTraining")
        if other or architecture in _NO_LANGUAGE_MODELS:
            raise ModelError(f"{name} is a {architecture}, {refusal(architecture)}")
    # an encoder-decoder stands in these tables too, under heads that are not what it was trained for
    if not getattr(config, "is_encoder_decoder", False):
        # encoders stand in both tables, since they can be run as decoders; decoders stand in one
        for kind_name, table in (
            ("masked", auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES),
            ("causal", auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES),
        ):
            if config.model_type in table:
                return KINDS[kind_name]
    elif kind := kind_of_class(auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES.get(config.model_type, "")):
        return kind
    raise ModelError(f"{name} is a {config.model_type} model, which cannot be audited; {works()}")
