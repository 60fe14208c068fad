"""Strings of a record as text of a page or a terminal: nothing hides in them, and nothing in them acts."""

import re
import unicodedata

from markupsafe import Markup, escape

LONGEST_TEXT = 2_000
_BLANK_LETTERS = "\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5"
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_LINK = re.compile(r"https://[A-Za-z0-9./_~%?=&#:+,@-]*[A-Za-z0-9/]")


def clean(text: str, limit: int = LONGEST_TEXT) -> str:
    r"""Return text in which nothing hides: controls, bidi marks, zero-width characters, lone surrogates are named.

    >>> clean("model\u202egnp.exe")
    'model[U+202E]gnp.exe'
    """
    cut = text[:limit]
    shown = "".join(_visible(character) for character in cut)
    if len(text) > limit:
        shown += f"… [{len(text) - limit:,} more characters]"
    return shown


def safe_for_log(text: str) -> str:
    """Return text of which no line is a command to the runner of GitHub Actions; what would be one is visibly changed.

    ``::`` is read at the start of a line, but ``##[`` anywhere in it (actions/runner, ActionCommand.cs).

    >>> safe_for_log("::error::no"), safe_for_log("a ##[group]x"), safe_for_log("a :: b")
    ('| ::error::no', 'a ## [group]x', 'a :: b')
    """
    return "\n".join(
        f"| {line}" if line.lstrip().startswith("::") else line
        for line in re.split(r"\r\n|\r|\n", text.replace("##[", "## ["))
    )


def json_for_log(text: str) -> str:
    r"""Return a JSON document with the same values, in which no line is a command to the runner.

    Its lines begin with a bracket, a quote or a number, so that none begins with ``::``.

    >>> json_for_log('{"name": "##[group]x"}')
    '{"name": "\\u0023#[group]x"}'
    """
    return text.replace("##[", "\\u0023#[")


def _visible(character: str) -> str:
    if character in "\n\t\r":
        return " "
    if unicodedata.category(character) in _HIDDEN or character in _BLANK_LETTERS:
        return f"[U+{ord(character):04X}]"
    return character


def name(text: str, *, language: str | None = None, limit: int = 120) -> Markup:
    """Return a string of the record as an isolated piece of running text, so that its direction moves nothing else."""
    if language is None:
        return Markup("<bdi>{}</bdi>").format(clean(text, limit))
    return Markup("<bdi{}>{}</bdi>").format(lang(language), clean(text, limit))


_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def lang(language: str) -> Markup:
    """Return a lang attribute, or nothing where the tag is none."""
    return Markup(' lang="{}"').format(language) if _LANGUAGE.fullmatch(language) else Markup("")


def code(text: str) -> Markup:
    """Return a hash, version or option as code."""
    return Markup("<code>{}</code>").format(clean(text))


def linked(text: str) -> Markup:
    """Return text in which https addresses can be followed."""
    shown, parts, end = clean(text), [], 0
    for match in _LINK.finditer(shown):
        parts += [escape(shown[end : match.start()]), Markup('<a href="{0}" rel="noreferrer">{0}</a>').format(match[0])]
        end = match.end()
    return Markup("").join([*parts, escape(shown[end:])])


def say(sentence: str, /, **parts: str) -> Markup:
    """Fill a sentence of ours; parts that are not markup yet are cleaned and escaped."""
    return Markup(sentence).format(
        **{k: v if isinstance(v, Markup) else name(v, limit=LONGEST_TEXT) for k, v in parts.items()}
    )


def plain(text: str) -> str:
    """Return text for a terminal, where a space that does not break would only be in the way of a search."""
    return text.replace("\u00a0", " ")
