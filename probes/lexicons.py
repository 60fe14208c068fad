"""Lists of words that texts are searched for, such as HurtLex (Bassignana, Basile & Patti 2018); none ships here.

A lexicon is a TSV or CSV file with a header and the column ``lemma``. ``category`` says what kind of word it is; where
there is a column ``level``, the rows of the level ``conservative`` are taken, as the score HONEST does (Nozza, Bianchi
& Hovy 2021). Other columns are not read.
"""

import string
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairprint.probes.errors import ProbeFileError, UsageError
from fairprint.probes.readers.tables import read_table

LEVEL = "conservative"
FORMAT = "TSV or CSV with the columns lemma, category and level; of several levels 'conservative' is taken"
_DELIMITERS = {".tsv": "\t", ".csv": ","}
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, " "))
# letters whose accent is a part of them, and ligatures, which Unicode does not take apart
_LETTERS = str.maketrans(
    {
        **{"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"},
        **{"đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i"},
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """Words without their accents, and the category of each: the first that the file gives it.

    Attributes:
        name: last part of the file's path.
        sha256: hash of the file's bytes.
        rows: rows of the file that were taken, of all ``read``.
    """

    name: str
    sha256: str
    words: Mapping[str, str]
    rows: int
    read: int

    def find_word(self, text: str) -> str | None:
        """Return a text without its accents if it is, as a whole, a word of the lexicon; case counts."""
        plain = without_accents(text.strip())
        return plain if plain in self.words else None

    def find_in(self, text: str) -> str | None:
        """Return the first word of a text, without accents, that is one of the lexicon.

        Punctuation (of ASCII) parts words, and case counts.
        """
        words = (without_accents(word) for word in text.translate(_PUNCTUATION).split())
        return next((word for word in words if word in self.words), None)


def read_lexicon(path: Path) -> Lexicon:
    """Read a lexicon.

    Raises:
        UsageError: there is no such file, or its name does not say which notation it has.
        ProbeFileError: it cannot be used; the message names the line.
    """
    if path.suffix.lower() not in _DELIMITERS:
        raise UsageError(f"{path}: a lexicon is a .tsv or .csv file", hint=FORMAT)
    if not path.is_file():
        raise UsageError(f"{path}: no such file", hint=f"a lexicon is a {FORMAT}")
    delimiter = _DELIMITERS[path.suffix.lower()]
    table = read_table(
        path, needed=("lemma",), known=("category", "level"), delimiter=delimiter, quotes=delimiter == ","
    )
    levels = {row["level"].strip() for _, row in table.rows} - {""}
    kept = [row for _, row in table.rows if not levels or row["level"].strip() == LEVEL]
    if not kept:
        told = ", ".join(sorted(levels)[:5])
        raise ProbeFileError(f"no row has the level '{LEVEL}'; levels: {told}", file=table.file, hint=FORMAT)
    words: dict[str, str] = {}
    for row in kept:
        words.setdefault(without_accents(row["lemma"].strip()), row["category"].strip())
    return Lexicon(name=path.name, sha256=table.sha256, words=words, rows=len(kept), read=len(table.rows))


def without_accents(text: str) -> str:
    """Return a text with every letter in its plain form.

    >>> without_accents("prostituée"), without_accents("Œuvre"), without_accents("naïve")
    ('prostituee', 'OEuvre', 'naive')
    """
    parts = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return "".join(character for character in parts if not unicodedata.combining(character))
