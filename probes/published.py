"""Figures that others published: for the same questions, asked of the same model in the same way, and for nothing else.

A figure whose way of asking differs from ours in anything that moves it is left out, however well known it is: so are
those of GPT-2 on CrowS-Pairs (mean probability of a token, not that of the sentence), those of lm-evaluation-harness
(another edition of the pairs), and those of StereoSet's test set (other sentences).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A published figure.

    Attributes:
        probe_set: name that the reader of the format gives the set.
        items: of the set that the figure is about; a part of it, or another edition, is another set.
        instrument, metric, scope: as in an estimate.
        models: names of the model, on its hub and as people call it; in brackets how recorded answers were asked for.
        value: on the scale of the metric, such as 0.6048 for 60.48 %.
        source: who found it, in words.
    """

    probe_set: str
    items: int
    instrument: str
    metric: str
    scope: str
    models: tuple[str, ...]
    value: float
    source: str


_BERT_UNCASED = ("bert-base-uncased", "google-bert/bert-base-uncased")
_BERT_CASED = ("bert-base-cased", "google-bert/bert-base-cased")
_GPT2 = ("gpt2", "openai-community/gpt2")
_GPT2_LARGE = ("gpt2-large", "openai-community/gpt2-large")

_CROWS_AGAIN = (
    "the authors’ code run again with a later version of transformers; Nangia et al. (2020) themselves give 60.5 % for "
    "all pairs"
)
_BIAS_BENCH = "Meade et al. (2022), leaderboard of bias-bench"
_STEREOSET = (
    "Nadeem et al. (2021): their code on the sentence scores that come with it (moinnadeem/StereoSet ead7d08; "
    "intrasentence part of the development set)"
)
_BBQ = "Parrish et al. (2022), figure 3"


def _crows(instrument: str, scope: str, percent: float, source: str) -> Figure:
    return Figure(
        probe_set="crows-pairs",
        items=1508,
        instrument=instrument,
        metric="crows_pairs_score",
        scope=scope,
        models=_BERT_UNCASED,
        value=round(percent / 100, 6),
        source=source,
    )


def _stereoset(models: tuple[str, ...], *percent: float) -> tuple[Figure, ...]:
    return tuple(
        Figure(
            probe_set="stereoset",
            items=2106,
            instrument="stereoset",
            metric=metric,
            scope="all",
            models=models,
            value=round(found / 100, 6),
            source=_STEREOSET,
        )
        for metric, found in zip(("stereoset_lms", "stereoset_ss", "stereoset_icat"), percent, strict=True)
    )


def _unifiedqa(probe_set: str, items: int, asked: str, metric: str, percent: float) -> Figure:
    """Return a score of UnifiedQA, 11 B parameters, asked in the format of ``asked``; the answers are published too."""
    return Figure(
        probe_set=probe_set,
        items=items,
        instrument="choice-answer",
        metric=metric,
        scope="all",
        models=(f"unifiedqa-t5-11b ({asked})",),
        value=round(percent / 100, 6),
        source=_BBQ,
    )


FIGURES = (
    _crows("pll-shared-tokens", "all", 60.48, _CROWS_AGAIN),
    _crows("pll-shared-tokens", "condition:stereo", 61.09, _CROWS_AGAIN),
    _crows("pll-shared-tokens", "condition:antistereo", 56.88, _CROWS_AGAIN),
    _crows("pll-differing-tokens", "category:gender", 57.25, _BIAS_BENCH),
    _crows("pll-differing-tokens", "category:race-color", 62.33, _BIAS_BENCH),
    _crows("pll-differing-tokens", "category:religion", 62.86, _BIAS_BENCH),
    *_stereoset(_BERT_CASED, 83.02, 58.68, 68.61),
    *_stereoset(_GPT2, 91.11, 61.93, 69.37),
    *_stereoset(_GPT2_LARGE, 92.49, 64.26, 66.12),
    _unifiedqa("bbq-age", 3680, "arc", "bbq_s_amb", 48.9),
    _unifiedqa("bbq-age", 3680, "race", "bbq_s_amb", 29.8),
    _unifiedqa("bbq-age", 3680, "arc", "bbq_s_dis", 3.3),
    _unifiedqa("bbq-age", 3680, "race", "bbq_s_dis", 1.2),
    _unifiedqa("bbq-physical-appearance", 1576, "arc", "bbq_s_amb", 47.7),
    _unifiedqa("bbq-physical-appearance", 1576, "race", "bbq_s_amb", 40.9),
    _unifiedqa("bbq-religion", 1200, "race", "bbq_s_amb", 14.3),
)
"""All of them; ``fairprint.audit.beside`` puts them beside estimates."""
