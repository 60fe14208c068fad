"""Winogender schemas: a sentence about an occupation and a participant, with a male, a female and a neutral pronoun.

``all_sentences.tsv`` has the columns ``sentid`` and ``sentence`` (Rudinger et al. 2018). The id says all else, as
``occupation.participant.answer.gender.txt``: whom the pronoun refers to (0 the occupation, 1 the participant) and its
gender. ``occupations-stats.tsv`` beside it has the share of women in each occupation. ``templates.tsv`` is not needed:
occupation and answer of an id name the template.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairprint.probes.errors import ProbeFileError
from fairprint.probes.forms import REFERENT
from fairprint.probes.items import Comparison, Group, Item, ProbeSet
from fairprint.probes.readers.referents import FEMALE, FORMS, MALE, NEUTRAL, statement
from fairprint.probes.readers.tables import Table, read_table

OCCUPATION, PARTICIPANT = "occupation", "participant"
"""Ids of the groups, whom the pronoun can refer to."""
NAMED, SOMEONE = "named participant", "someone"
"""Categories: the sentence names the participant ("the customer"), or says "someone"."""

_SENTENCES, _STATISTICS = "all_sentences.tsv", "occupations-stats.tsv"
_ID = re.compile(rf"([^.]+)\.([^.]+)\.([01])\.({MALE}|{FEMALE}|{NEUTRAL})(?:\.txt)?")
_ID_HINT = "an id is occupation.participant.answer.gender.txt, such as technician.customer.1.male.txt"
_PATTERNS = {
    gender: re.compile(rf"(?<!\w)(?:{'|'.join(forms)})(?!\w)", re.IGNORECASE) for gender, forms in FORMS.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statistics:
    """The share of women by occupation, in percent, and the years that the figures are of."""

    shares: Mapping[str, float]
    years: tuple[str, ...]
    sha256: str
    remarks: tuple[str, ...]


def load_winogender(path: Path) -> ProbeSet:
    """Read the authors' folder, or the file of sentences with the statistics beside it.

    Without the statistics the items have no covariate, and the correlation with it is absent.

    Raises:
        ProbeFileError: there is no such file, or a line cannot be used; the message names it.
    """
    file = path / _SENTENCES if path.is_dir() else path
    table = read_table(file, needed=("sentid", "sentence"), delimiter="\t", quotes=False)
    statistics = _statistics(file.parent / _STATISTICS)
    items = tuple(_items(table, {} if statistics is None else statistics.shares))
    years = "" if statistics is None or not statistics.years else f", {' and '.join(statistics.years)}"
    known = "" if statistics is None else statistics.sha256
    return ProbeSet(
        name="winogender",
        version=1,
        title="Winogender schemas",
        summary="Whom does a pronoun refer to, the person with an occupation or the other one? Each sentence is told "
        "with “he”, “she” and “they”; only the meaning of the sentence decides, so that a choice that changes with the "
        "pronoun is made by its gender.",
        measures="whether the gender of a pronoun changes whom a model takes it to refer to",
        harm_type="stereotyping (representational harm)",
        language="en",
        licence="MIT",
        sources=(
            "Rudinger et al. (2018), Gender Bias in Coreference Resolution: sentences and labour statistics "
            "(rudinger/winogender-schemas)",
        ),
        criticism=_CRITICISM,
        cannot_show=_CANNOT_SHOW,
        groups=(
            Group(id=OCCUPATION, label="the person with the occupation"),
            Group(id=PARTICIPANT, label="the other participant"),
        ),
        comparisons=(Comparison(first=OCCUPATION, second=PARTICIPANT),),
        scored=REFERENT,
        random_factors=("template", "lexeme"),
        covariate=None
        if statistics is None
        else f"women among people in the occupation, percent (US Bureau of Labor Statistics{years})",
        covariate_group=None,
        items=items,
        sha256=hashlib.sha256(f"{table.sha256} {known}".encode()).hexdigest(),
        source="file",
        remarks=tuple(_remarks(table, statistics, items)),
    )


_CRITICISM = (
    "A gap that is found counts for more than one that is not: its authors write of a high positive and a low negative "
    "predictive value.",
    "A later revision of the schemas reports misprints, sentences that break the rules of their templates, and "
    "pronouns of different grammatical case that are treated alike (WinoPron, arXiv 2409.05653).",
    "The labour statistics are of one country and of the years around 2015.",
    "Each occupation has two templates, and half of the sentences differ from the other half only in “someone”.",
)
_CANNOT_SHOW = (
    "That a model is free of bias, where the choice does not change.",
    "Whether a choice is wrong because of gender or because the model does not resolve pronouns: see the accuracy.",
    "How the model treats people; it shows whom it takes a pronoun to refer to.",
    "Anything about languages other than English.",
)


def _statistics(file: Path) -> _Statistics | None:
    if not file.is_file():
        return None
    table = read_table(file, needed=("occupation", "bls_pct_female"), known=("bls_year",), delimiter="\t", quotes=False)
    shares: dict[str, float] = {}
    years = set()
    for line, row in table.rows:
        occupation, told = row["occupation"].strip(), row["bls_pct_female"].strip()
        if occupation in shares:
            raise ProbeFileError(f"the occupation '{occupation}' stands twice", file=table.file, line=line)
        if not re.fullmatch(r"[0-9]{1,3}(?:\.[0-9]{1,9})?", told) or float(told) > 100:
            message = f"bls_pct_female is {told[:40]!r}; expected a number from 0 to 100"
            raise ProbeFileError(message, file=table.file, line=line)
        shares[occupation] = float(told)
        years.add(row["bls_year"].strip())
    remarks = tuple(f"{file.name}: {remark}" for remark in table.remarks)
    return _Statistics(shares=shares, years=tuple(sorted(years - {""})), sha256=table.sha256, remarks=remarks)


def _items(table: Table, shares: Mapping[str, float]) -> Iterator[Item]:
    seen: dict[str, int] = {}
    for line, row in table.rows:
        own, sentence = row["sentid"].strip(), " ".join(row["sentence"].split())
        if own in seen:
            raise ProbeFileError(f"the id {own} stands twice; first in line {seen[own]}", file=table.file, line=line)
        seen[own] = line
        yield _item(table.file, line, own, sentence, shares)


def _item(file: str, line: int, own: str, sentence: str, shares: Mapping[str, float]) -> Item:
    matched = _ID.fullmatch(own)
    if matched is None:
        raise ProbeFileError(f"the id is {own[:80]!r}", file=file, line=line, hint=_ID_HINT)
    occupation, participant, answer, gender = matched.groups()
    told = sentence.casefold()
    absent = next((w for w in (occupation, participant) if not re.search(_word(w), told)), None)
    if absent is not None or occupation.casefold() == participant.casefold():
        message = f"the sentence does not name '{absent}'" if absent else f"'{occupation}' is both of the two"
        raise ProbeFileError(f"{message}, as its id {own} says", file=file, line=line, hint=_ID_HINT)
    pronouns = _PATTERNS[gender].findall(sentence)
    if len(pronouns) != 1:
        found = f"found {', '.join(pronouns)}" if pronouns else "found none"
        message = f"expected one pronoun of the id's gender ({', '.join(FORMS[gender])}), {found}"
        raise ProbeFileError(message, file=file, line=line)
    lead = f"{sentence} ‘{pronouns[0].capitalize()}’ refers to"
    if participant == SOMEONE:
        # "the someone" is no English; then the article is a part of what is compared
        names = {OCCUPATION: f"the {occupation}", PARTICIPANT: participant}
    else:
        lead, names = f"{lead} the", {OCCUPATION: occupation, PARTICIPANT: participant}
    return Item(
        id=own,
        template=f"{occupation}.{answer}",
        lexeme=occupation,
        category=SOMEONE if participant == SOMEONE else NAMED,
        directions=(0,),
        valence=0,
        covariate=shares.get(occupation),
        variants=tuple(statement(group, lead, words) for group, words in names.items()),
        answer=PARTICIPANT if answer == "1" else OCCUPATION,
        condition=gender,
    )


def _word(word: str) -> str:
    return rf"(?<!\w){re.escape(word.casefold())}(?!\w)"


def _remarks(table: Table, statistics: _Statistics | None, items: Sequence[Item]) -> Iterator[str]:
    yield from table.remarks
    if statistics is None:
        yield f"{_STATISTICS} did not lie beside the sentences, so that there are no labour statistics"
    else:
        yield from statistics.remarks
        unknown = dict.fromkeys(item.lexeme for item in items if item.covariate is None)
        if unknown:
            told = ", ".join(list(unknown)[:5]) + (f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else "")
            yield f"occupations without labour statistics, which the correlation leaves out: {told}"
    count = sum(item.category == SOMEONE for item in items)
    if count:
        yield (
            f"in {count:,} of {len(items):,} sentences the participant is “someone”: there “refers to the technician” "
            f"is compared with “refers to someone”, since “the someone” is no English; the category “{NAMED}” is asked "
            "in the words of lm-evaluation-harness"
        )
