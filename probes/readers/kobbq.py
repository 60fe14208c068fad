"""KoBBQ (Jin et al. 2024) in its authors' TSV: questions in Korean about two people, with three options."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from fairprint.probes.choices import WORDINGS, options
from fairprint.probes.errors import ProbeFileError
from fairprint.probes.forms import QUESTION
from fairprint.probes.items import Comparison, Item, ProbeSet
from fairprint.probes.readers.bbq import AMBIGUOUS, BIASED, COUNTER_BIASED, DISAMBIGUATED, UNKNOWN, roles
from fairprint.probes.readers.tables import read_table

NAME = "kobbq"
PREDICTION = "prediction"
"""Column for the answers of a model, empty in the published file."""
_NEEDED = ("sample_id", "context", "question", "choices", "biased_answer", "answer")
_KNOWN = ("label_annotation", "bbq_id", "bbq_category", PREDICTION)
_SAMPLE = re.compile(r"([^-\s]+)-(\d+)([a-z])-([^-\s]+)-(amb|dis)-(bsd|cnt)")
_BIASED_CONTEXTS = "bd"
"""Letters of the templates whose text, where it says who it was, says what the stereotype expects."""
_UNKNOWN = (
    "알 수 없음",
    "보기 중 답을 찾을 수 없음",
    "주어진 정보만으로는 답을 알 수 없음",
    "정답 없음",
    "답을 확정할 수 없음",
)
"""What the option "unknown" is called under the five prompts of the authors; the published file has the first."""
_QUOTED = r"""(?:'(?:[^'\\\n\r]|\\['"\\])*'|"(?:[^"\\\n\r]|\\['"\\])*")"""
_LIST = re.compile(rf"\[\s*{_QUOTED}(?:\s*,\s*{_QUOTED})*\s*\]")
"""A list of Python's strings and nothing else, so that it can be read as one."""


def load_kobbq(path: Path) -> ProbeSet:
    """Read the authors' file of test samples.

    Raises:
        ProbeFileError: the file cannot be read, a column or a cell is missing, an id stands twice, or a row says
            something that cannot be used; the message names the line.
    """
    table = read_table(path, needed=_NEEDED, known=_KNOWN, delimiter="\t")
    lines: dict[str, int] = {}
    items = []
    for line, cells in table.rows:
        item = _item(cells, table.file, line)
        if item.id in lines:
            message = f"the sample_id {item.id} stands twice; first in line {lines[item.id]}"
            raise ProbeFileError(message, file=table.file, line=line)
        lines[item.id] = line
        items.append(item)
    return ProbeSet(
        name=NAME,
        version=1,
        title="KoBBQ: stereotypes in answers to Korean questions",
        summary="Two people are named in a Korean text, and a question asks which of them did or is something. Where "
        "the text does not say (ambiguous), does the model answer with the stereotype instead of “unknown”? Where it "
        "does say (disambiguated), is the model right as often when the text goes against the stereotype?",
        measures="reliance on stereotypes of South Korea in answers to questions that the text does not answer, and to "
        "those it does",
        harm_type="stereotyping (representational harm)",
        language="ko",
        licence="MIT",
        sources=_SOURCES,
        criticism=_CRITICISM,
        cannot_show=_CANNOT_SHOW,
        groups=roles(items),
        comparisons=(Comparison(first=BIASED, second=COUNTER_BIASED),),
        scored=QUESTION,
        random_factors=("template",),
        covariate=None,
        covariate_group=None,
        items=tuple(items),
        sha256=table.sha256,
        source="file",
        remarks=table.remarks,
    )


def _item(cells: dict[str, str], file: str, line: int) -> Item:
    def error(message: str, hint: str | None = None) -> ProbeFileError:
        return ProbeFileError(message, file=file, line=line, hint=hint)

    cells = {column: cell.strip() for column, cell in cells.items()}
    match = _SAMPLE.fullmatch(cells["sample_id"])
    if match is None:
        hint = "such as age-001a-002-amb-bsd: category, template, sample, context and question"
        raise error(f"sample_id is '{cells['sample_id'][:60]}'", hint)
    category, number, letter, _, context, _ = match.groups()
    choices = _choices(cells["choices"])
    if choices is None:
        raise error(f"choices is {cells['choices'][:60]!r}", "expected three texts, such as ['A', 'B', 'C']")
    unknown = [choice for choice in choices if choice in _UNKNOWN]
    if len(unknown) != 1 or len(set(choices)) != 3:
        raise error(f"choices is {cells['choices'][:60]!r}", f"expected two people and '{_UNKNOWN[0]}'")
    for column in ("biased_answer", "answer"):
        if cells[column] not in choices or (column == "biased_answer" and cells[column] in unknown):
            raise error(f"{column} is '{cells[column][:60]}'", f"expected one of {', '.join(choices)}")
    found = {choice: COUNTER_BIASED for choice in choices} | {cells["biased_answer"]: BIASED, unknown[0]: UNKNOWN}
    answer = found[cells["answer"]]
    expected = UNKNOWN if context == "amb" else BIASED if letter in _BIASED_CONTEXTS else COUNTER_BIASED
    if answer != expected:
        raise error(
            f"the answer '{cells['answer'][:60]}' is the {answer} one; by the sample_id the {expected} one is right",
            "amb: unknown; dis: the biased one where the letter of the template is b or d, else the other",
        )
    stem = f"{cells['context']} {cells['question']}"
    return Item(
        id=cells["sample_id"],
        template=f"{category}-{number}",
        lexeme="",
        category=category,
        directions=(1,),
        valence=0,
        covariate=None,
        variants=options(stem, [found[choice] for choice in choices], choices, WORDINGS["ko"]),
        stem=stem,
        answer=answer,
        condition=AMBIGUOUS if context == "amb" else DISAMBIGUATED,
    )


def _choices(cell: str) -> list[str] | None:
    """Return the three choices of a cell, or None where it is no list of three texts."""
    if not _LIST.fullmatch(cell):
        return None
    try:
        found = [choice.strip() for choice in ast.literal_eval(cell)]
    except (ValueError, SyntaxError):
        return None
    return found if len(found) == 3 and all(found) else None


def kobbq_predictions(path: Path) -> Iterator[tuple[int, Item, str]]:
    """Yield the line of each row, its item, and the answer of the model that the column ``prediction`` holds.

    Raises:
        ProbeFileError: as ``load_kobbq``.
    """
    table = read_table(path, needed=_NEEDED, known=_KNOWN, delimiter="\t")
    for line, cells in table.rows:
        yield line, _item(cells, table.file, line), cells[PREDICTION]


_SOURCES = (
    "Jin et al. (2024), KoBBQ: Korean Bias Benchmark for Question Answering (TACL), https://arxiv.org/abs/2307.16778",
    "The file is given by the person who ran the audit, in the format of https://github.com/naver-ai/KoBBQ",
)
_CRITICISM = (
    "The test set has one example of each template, in eight or sixteen items that differ in who is named first, in "
    "what is asked and in what the text adds, so that its items are no independent samples: intervals go by template.",
    "Which answer is the stereotype was decided by a survey in South Korea; not every reader will agree with it.",
)
_CANNOT_SHOW = (
    "Bias of a model that does not understand Korean: where it is right no more often than by chance, its answers say "
    "nothing of what it holds of people.",
    "Stereotypes outside of South Korea.",
    "What the model says where it is not asked to choose, or what a system that is built on it does to people.",
)
