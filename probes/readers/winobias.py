"""WinoBias: sentences with two occupations and a pronoun, whose answer fits the stereotype or goes against it.

The authors' folder holds ``{pro,anti}_stereotyped_type{1,2}.txt.{dev,test}`` and the lists ``male_occupations.txt`` and
``female_occupations.txt`` (Zhao et al. 2018). A line is a number and a sentence, in which the pronoun and the one whom
it refers to stand in brackets::

    1 [The developer] argued with the designer because [he] did not like the design.

Two lines of one type and split that bear the same number are a pair: one sentence frame, told with ``he`` and with
``she``. A language model is asked by the statement ``"He" refers to the developer`` after the sentence, and the same
of the designer.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairprint.probes.errors import ProbeFileError, nearest
from fairprint.probes.forms import REFERENT
from fairprint.probes.items import Comparison, Group, Item, ProbeSet, Variant
from fairprint.probes.notations import read_utf8
from fairprint.probes.readers.referents import ANTI, FEMALE, FORMS, MALE, PRO, statement

STEREOTYPICAL, ANTI_STEREOTYPICAL = "stereotypical", "anti-stereotypical"
"""Ids of the groups: the occupation that the stereotype expects of people called so, and the other one."""
NOT_TWO = "not two occupations"
"""Name of the rule of quality that a sentence breaks where it is not known between whom is to be chosen."""

_LISTS = {MALE: "male_occupations.txt", FEMALE: "female_occupations.txt"}
_NAMES = tuple(
    f"{condition}_stereotyped_type{kind}.txt.{split}"
    for split in ("dev", "test")
    for kind in (1, 2)
    for condition in (PRO, ANTI)
)
_LINE = re.compile(r"([0-9]+)\s+(\S.*)")
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_GENDERS = {form: gender for gender in (MALE, FEMALE) for form in FORMS[gender]}
_EXAMPLE = "a line is: 1 [The developer] argued with the designer because [he] did not like the design."
_MOST_NAMED = 5
"""Lines that a remark names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Occupations:
    """The two lists.

    Attributes:
        written: each occupation as its list has it, by its name in small letters.
        genders: the gender that the stereotype expects of people of each occupation.
        pattern: finds them in a text in small letters, longer names first.
        digests: of both files.
    """

    written: Mapping[str, str]
    genders: Mapping[str, str]
    pattern: re.Pattern[str]
    digests: tuple[str, ...]

    def found(self, text: str) -> tuple[str, ...]:
        """Return the occupations that a text names, each once, in small letters."""
        return tuple(dict.fromkeys(self.pattern.findall(text.casefold())))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line of a file.

    Attributes:
        file, number: where it stands.
        unit: type, split and the line's own number, which a pair shares.
        condition: what the file's name says of its answers, ``pro`` or ``anti``.
        frame: the sentence with its pronouns taken out.
        sentence: without brackets.
        pronoun: the first one in brackets.
        named: the occupations that it names, in small letters.
        meant: those in the brackets of the person.
    """

    file: Path
    number: int
    unit: str
    category: str
    condition: str
    frame: str
    sentence: str
    pronoun: str
    named: tuple[str, ...]
    meant: tuple[str, ...]

    @property
    def place(self) -> str:
        """The item's id."""
        return f"{self.file.name.replace('.txt', '')}:{self.number}"

    @property
    def gender(self) -> str:
        """The gender of the pronoun."""
        return _GENDERS[self.pronoun.casefold()]


def load_winobias(path: Path) -> ProbeSet:
    """Read the authors' folder, or one of its files with the lists of occupations beside it.

    A sentence that names more or fewer than two occupations of the lists is an item without an answer.

    Raises:
        ProbeFileError: there is no such file, or a line cannot be used; the message names it.
    """
    folder = path if path.is_dir() else path.parent
    files = [folder / name for name in _NAMES if (folder / name).is_file()] if path.is_dir() else [path]
    if not files:
        raise ProbeFileError("the folder holds no file of WinoBias", file=str(path), hint=f"files: {', '.join(_NAMES)}")
    occupations = _occupations(folder)
    digest = hashlib.sha256("".join(occupations.digests).encode())
    lines: list[_Line] = []
    for file in files:
        data, text = read_utf8(file)
        digest.update(f"{file.name} {hashlib.sha256(data).hexdigest()}\n".encode())
        lines += _lines(file, text, occupations)
    items = tuple(_items(lines, occupations))
    return ProbeSet(
        name="winobias",
        version=1,
        title="WinoBias",
        summary="Whom does a pronoun refer to? Each sentence names two people by their occupations, and is told with "
        "“he” and with “she”. The right answer is the same both times; once it fits a stereotype of the occupation, "
        "and once it goes against it.",
        measures="whether a model resolves pronouns by gender stereotypes of occupations",
        harm_type="stereotyping (representational harm), and quality of service (more mistakes about some people)",
        language="en",
        licence="MIT",
        sources=(
            "Zhao et al. (2018), Gender Bias in Coreference Resolution: Evaluation and Debiasing Methods: sentences "
            "and lists of occupations (uclanlp/corefBias)",
        ),
        criticism=_CRITICISM,
        cannot_show=_CANNOT_SHOW,
        groups=(
            Group(id=STEREOTYPICAL, label="the occupation that the stereotype expects"),
            Group(id=ANTI_STEREOTYPICAL, label="the other occupation"),
        ),
        comparisons=(Comparison(first=STEREOTYPICAL, second=ANTI_STEREOTYPICAL),),
        scored=REFERENT,
        random_factors=("template",),
        covariate=None,
        covariate_group=None,
        items=items,
        sha256=digest.hexdigest(),
        source="file",
        quality={
            NOT_TWO: "the sentence does not name two occupations of the lists, one of each list, of which one is in "
            "brackets: between whom is to be chosen is not known, and the item has no answer"
        },
        remarks=tuple(_remarks(files, lines, occupations)),
    )


_CRITICISM = (
    "About 3.8 times as many sentences would be needed to call a gap of 5 % at a level of 95 % (Ethayarajh 2020).",
    "Sentences of type 2 can be resolved by their syntax alone, so that good systems leave nothing to see there.",
    "It was made for coreference systems. Of language models the prompt decides the result: asked in one way, "
    "Pythia-410m answers .452 of type 1 rightly where the answer fits the stereotype and .258 where it does not; asked "
    "in another way .025 and .020 (EleutherAI/pythia evals).",
    "What the stereotype is, is what the two lists of occupations say, and every occupation is in one of them.",
)
_CANNOT_SHOW = (
    "That a model is free of such stereotypes, where no gap is found: the sentences are few and of two kinds.",
    "What the model assumes about people who are called neither “he” nor “she”.",
    "How the model treats people; it shows whom it takes a pronoun to refer to.",
    "Anything about languages other than English.",
)


def _occupations(folder: Path) -> _Occupations:
    written: dict[str, str] = {}
    genders: dict[str, str] = {}
    digests = []
    for gender, name in _LISTS.items():
        file = folder / name
        if not file.is_file():
            hint = "the two lists of occupations say what the stereotype is; put them beside the sentences"
            raise ProbeFileError("no such file", file=str(file), hint=hint)
        data, text = read_utf8(file)
        digests.append(hashlib.sha256(data).hexdigest())
        for number, line in enumerate(text.split("\n"), start=1):
            occupation = " ".join(line.split())
            if not occupation:
                continue
            if genders.setdefault(occupation.casefold(), gender) != gender:
                message = f"'{occupation}' stands in both lists, so that the stereotype is not known"
                raise ProbeFileError(message, file=str(file), line=number)
            written.setdefault(occupation.casefold(), occupation)
        if gender not in genders.values():
            raise ProbeFileError("the list is empty", file=str(file), line=1)
    names = sorted(genders, key=lambda occupation: (-len(occupation), occupation))
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)")
    return _Occupations(written=written, genders=genders, pattern=pattern, digests=tuple(digests))


def _lines(file: Path, text: str, occupations: _Occupations) -> Iterator[_Line]:
    if file.name not in _NAMES:
        message = f"the name says what a file of WinoBias holds, and this is none of them.{nearest(file.name, _NAMES)}"
        raise ProbeFileError(message, file=str(file), hint=f"files: {', '.join(_NAMES)}")
    seen: dict[int, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        matched = _LINE.fullmatch(line.strip())
        if matched is None:
            message = f"expected a number and a sentence, found {line.strip()[:60]!r}"
            raise ProbeFileError(message, file=str(file), line=number, hint=_EXAMPLE)
        own = _integer(matched[1], str(file), number)
        if own in seen:
            message = f"the number {own} stands twice; first in line {seen[own]}"
            raise ProbeFileError(message, file=str(file), line=number)
        seen[own] = number
        yield _line(file, number, own, matched[2], occupations)
    if not seen:
        raise ProbeFileError("the file is empty", file=str(file), line=1)


def _integer(digits: str, file: str, line: int) -> int:
    if len(digits) > 9:
        raise ProbeFileError(f"the number {digits[:20]}... is too long", file=file, line=line, hint=_EXAMPLE)
    return int(digits)


def _line(file: Path, number: int, own: int, marked: str, occupations: _Occupations) -> _Line:
    held = [" ".join(words.split()) for words in _BRACKETS.findall(marked)]
    pronouns = [words for words in held if words.casefold() in _GENDERS]
    people = [words for words in held if words.casefold() not in _GENDERS]
    message = ""
    if re.search(r"[\[\]]", _BRACKETS.sub("", marked)):
        message = "a bracket is open, or closed without having been opened"
    elif not pronouns or len(people) != 1:
        told = ", ".join(f"[{words}]" for words in held) or "no brackets"
        message = f"expected a pronoun ({', '.join(_GENDERS)}) and one person in brackets, found {told}"
    elif len({_GENDERS[words.casefold()] for words in pronouns}) > 1:
        message = f"the pronouns in brackets are of both genders: {', '.join(pronouns)}"
    if message:
        raise ProbeFileError(message, file=str(file), line=number, hint=_EXAMPLE)
    condition, _, rest = file.name.partition("_stereotyped_type")
    kind, _, split = rest.partition(".txt.")
    sentence = " ".join(_BRACKETS.sub(r"\1", marked).split())
    return _Line(
        file=file,
        number=number,
        unit=f"type {kind}, {split} {own}",
        category=f"type {kind}",
        condition=condition,
        frame=" ".join(_BRACKETS.sub(_without_pronoun, marked).split()),
        sentence=sentence,
        pronoun=pronouns[0],
        named=occupations.found(sentence),
        meant=occupations.found(people[0]),
    )


def _without_pronoun(matched: re.Match[str]) -> str:
    return "[]" if matched[1].strip().casefold() in _GENDERS else matched[1]


def _decided(line: _Line, occupations: _Occupations) -> bool:
    """Whether a sentence offers two to choose between, one for each gender, and one of them is the answer."""
    offered = {occupations.genders[name] for name in line.named}
    return len(line.named) == len(offered) == 2 and len(line.meant) == 1 and line.meant[0] in line.named


def _items(lines: Sequence[_Line], occupations: _Occupations) -> Iterator[Item]:
    units = _units(lines)
    for line in lines:
        lead = f'{line.sentence} "{line.pronoun.capitalize()}" refers to the'
        answer = STEREOTYPICAL if line.condition == PRO else ANTI_STEREOTYPICAL
        variants: tuple[Variant, ...]
        flags: tuple[str, ...] = ()
        if _decided(line, occupations):
            groups = {name: _group(name, line, occupations) for name in line.named}
            if groups[line.meant[0]] != answer:
                message = (
                    f"'{line.pronoun}' of '{line.meant[0]}' is {groups[line.meant[0]]} by the lists of occupations, "
                    f"and the file's name says {answer}"
                )
                raise ProbeFileError(message, file=str(line.file), line=line.number)
            variants = tuple(statement(group, lead, occupations.written[name]) for name, group in groups.items())
        else:
            variants, flags = (Variant(group=answer, text=lead, span=(len(lead), len(lead))),), (NOT_TWO,)
        yield Item(
            id=line.place,
            template=units[line.place],
            lexeme="",
            category=line.category,
            directions=(1,),
            valence=0,
            covariate=None,
            variants=variants,
            answer=answer,
            condition=line.condition,
            flags=flags,
        )


def _group(name: str, line: _Line, occupations: _Occupations) -> str:
    return STEREOTYPICAL if occupations.genders[name] == line.gender else ANTI_STEREOTYPICAL


def _units(lines: Sequence[_Line]) -> dict[str, str]:
    """Return the sentence frame of each line: lines of one number that do not choose between the same are no pair."""
    first: dict[str, _Line] = {}
    units = {}
    for line in lines:
        other = first.setdefault(line.unit, line)
        alike = set(other.named) == set(line.named) and other.meant == line.meant
        units[line.place] = line.unit if alike else f"{line.unit} {line.condition}"
    return units


def _remarks(files: Sequence[Path], lines: Sequence[_Line], occupations: _Occupations) -> Iterator[str]:
    yield f"files that were read: {', '.join(file.name for file in files)}"
    units = _units(lines)
    by_unit: dict[str, list[_Line]] = {}
    for line in lines:
        by_unit.setdefault(units[line.place], []).append(line)
    pairs = [found for found in by_unit.values() if len(found) == 2]
    alone = [found[0] for found in by_unit.values() if len(found) == 1]
    if pairs and alone:
        yield f"lines that are no pair, since no other has their number and occupations: {_told(alone)}"
    unlike = [one for one, other in pairs if one.frame != other.frame]
    if unlike:
        of = f"{len(unlike):,} of {len(pairs):,}"
        yield f"pairs that differ in more than the pronoun: {of}: {_told(unlike)}"
    undecided = [line for line in lines if not _decided(line, occupations)]
    if undecided:
        of = f"{len(undecided):,} of {len(lines):,}"
        named = (f"{line.place} names {', '.join(line.named) or 'none'}" for line in undecided[:_MOST_NAMED])
        why = "they do not name two occupations, one of each list and one of them in brackets"
        yield f"lines without an answer, since {why}: {of}: {'; '.join(named)}"


def _told(lines: Sequence[_Line]) -> str:
    rest = f" and {len(lines) - _MOST_NAMED:,} more" if len(lines) > _MOST_NAMED else ""
    return ", ".join(line.place for line in lines[:_MOST_NAMED]) + rest
