"""Splicing into a card's front matter: a parser locates keys, and lines are put in or taken out as text.

Nothing that others wrote is dumped again. Lines that ours stand instead of (an empty ``results: []``, or emissions that
were overridden) are kept in the part as comments, so that taking the part out brings them back.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import yaml

from fairprint.probes.errors import CardError
from fairprint.reports.card_front import Front, Pair, Where, entries, located, pairs, root_of
from fairprint.reports.card_parts import CardParts, Emissions, Result
from fairprint.reports.card_sentinels import EOL, IN_YAML, Block, Removed, blocks_in, lines_of, refuse_edits
from fairprint.reports.card_values import LEAST_G, comment, decimal, grams, scalar

EMISSIONS = "co2_eq_emissions"
INDEX = "model-index"
_WAS = re.compile(r"[ \t]*# fairprint:was ")
_MADE = "front-matter"

Edit = tuple[int, int, str]
"""From where to where the text is replaced, and by what."""


def front_blocks(front: str, path: str) -> list[Block]:
    """Return fairprint's parts of a front matter.

    Raises:
        CardError: a mark has no partner.
    """
    return blocks_in(front, IN_YAML, path=path, first_line=1)


def strip_front(front: str, *, path: str, force: bool) -> tuple[str, dict[str, Removed]]:
    """Take fairprint's parts out of a front matter, and itself where fairprint made it and nobody added to it.

    Returns:
        the front matter without them, and where each of them stood.

    Raises:
        CardError: a mark has no partner, or a part was edited by hand and force is not given.
    """
    blocks = front_blocks(front, path)
    refuse_edits(blocks, path=path, force=force)
    removed: dict[str, Removed] = {}
    for block in reversed(blocks):
        start = max(front.rfind("\n", 0, block.start), front.rfind("\r", 0, block.start)) + 1
        end = _after_line(front, block.end)
        was = "".join(_own_lines(block.inner))
        removed = {key: _moved(old, len(was) - (end - start)) for key, old in removed.items()}
        made = block.attributes.get("made") == _MADE
        removed[block.key] = Removed(offset=start, restored=bool(was), made=made)
        front = front[:start] + was + front[end:]
    if any(part.made for part in removed.values()):
        place = located(front, path)
        if place is not None and not front[place.start : place.stop].strip():
            return "", {}
    return front, removed


def _moved(removed: Removed, by: int) -> Removed:
    return replace(removed, offset=removed.offset + by)


def _own_lines(inner: str) -> Iterable[str]:
    for start, _, after in lines_of(inner):
        line = inner[start:after]
        if (mark := _WAS.match(line)) is not None:
            yield line[mark.end() :]


def _after_line(text: str, index: int) -> int:
    found = EOL.search(text, index)
    return found.end() if found else len(text)


def insert_front(
    front: str, parts: CardParts, before: Mapping[str, Removed], *, path: str, force: bool, eol: str
) -> str:
    """Put fairprint's parts into a front matter that has none of them; an empty text becomes a front matter.

    Args:
        front: what ``strip_front`` left.
        parts: what to put in.
        before: where the parts stood before, as ``strip_front`` returns it.
        path: the card, for messages.
        force: whether emissions of others may be replaced.
        eol: how lines end.

    Raises:
        CardError: it is not valid YAML, or something stands where ours would go.
    """
    if not front:
        lines = _emission_lines(parts) if parts.results or _grams(parts.emissions) else []
        made = _block(EMISSIONS, lines, 0, eol, made=_MADE) if lines else ""
        if parts.results:
            made += _block(INDEX, _index_lines(parts), 0, eol, made=_MADE)
        return f"---{eol}{made}---{eol}" if made else ""
    place = located(front, path)
    if place is None:
        raise CardError("there is no front matter", file=path)  # the caller splits the card by the same rule
    where = Where(text=front, path=path)
    root = root_of(where, place)
    if root is not None and root.flow_style:
        return _instead_of_braces(where, root, parts, eol)
    column = 0 if root is None else root.start_mark.column
    top = Top(where=where, place=place, pairs=pairs(where, root), column=column, before=before, eol=eol)
    edits = [*_emission_edits(top, parts, force), *_index_edits(top, parts)]
    # from the end on, so that indices stay right; of two parts for one place the first goes first
    for start, end, text in sorted(reversed(edits), key=lambda edit: edit[0], reverse=True):
        front = front[:start] + text + front[end:]
    return front


@dataclass(frozen=True, slots=True, kw_only=True)
class Top:
    """The top level of a front matter, and how lines are put into it."""

    where: Where
    place: Front
    pairs: Mapping[str, Pair]
    column: int
    before: Mapping[str, Removed]
    eol: str

    def spot(self, key: str) -> int:
        """Return where a part goes: where it stood before, if that is between two keys, or at the end."""
        known, end = self.before.get(key), self._end()
        if known is None or not self.place.start <= known.offset <= end:
            return end
        inside = any(pair.key.start_mark.index < known.offset < pair.end for pair in self.pairs.values())
        return end if inside else known.offset

    def _end(self) -> int:
        # the last line's end is no part of the YAML that the Hub reads: a block of text at the end would gain it
        last = max(self.pairs.values(), key=lambda pair: pair.end, default=None)
        if last is None or not _ends_in_block(last.value):
            return self.place.stop
        return self.where.line_start(last.key)

    def block(self, key: str, lines: Sequence[str], *, was: str = "") -> str:
        """Return a part of the top level with its marks."""
        made = _MADE if any(part.made for part in self.before.values()) else None
        return _block(key, lines, self.column, self.eol, was=was, made=made)


def _ends_in_block(node: yaml.Node) -> bool:
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")


def _instead_of_braces(where: Where, root: yaml.MappingNode, parts: CardParts, eol: str) -> str:
    """Put the parts instead of ``{}``, which the Hub's template writes where it is given no data."""
    start, end = where.line_start(root), where.after(root.end_mark.index)
    if root.value or where.text[start:end].strip() != "{}":
        raise where.error(root, "the front matter is written in braces", hint="write one 'key: value' a line")
    made = _block(EMISSIONS, _emission_lines(parts), 0, eol, was=where.text[start:end])
    if parts.results:
        made += _block(INDEX, _index_lines(parts), 0, eol)
    return where.text[:start] + made + where.text[end:]


def _block(key: str, lines: Sequence[str], column: int, eol: str, *, was: str = "", made: str | None = None) -> str:
    """Return a part with its marks, indented; ``was`` are the lines that it stands instead of, with their ends."""
    indent = " " * column
    inner = "".join(f"{indent}{line}{eol}" for line in lines)
    inner += "".join(f"{indent}# fairprint:was {was[start:after]}" for start, _, after in lines_of(was))
    attributes = {} if made is None else {"made": made}
    first, last = IN_YAML.first(key, inner, attributes), IN_YAML.last(key)
    return f"{indent}{first}{eol}{inner}{indent}{last}{eol}"


# emissions


def _grams(emissions: Emissions | None) -> str | None:
    return None if emissions is None else grams(emissions.emissions_g)


def _emission_lines(parts: CardParts) -> list[str]:
    emissions, written = parts.emissions, _grams(parts.emissions)
    if emissions is None:
        return [f"# no {EMISSIONS}: {comment(parts.emissions_reason)}"]
    if written is None:
        small = decimal(emissions.emissions_g)
        return [
            f"# no {EMISSIONS}: {small} g are less than {decimal(LEAST_G)} g, which the Hub's client would misread",
            f"# scope: {comment(emissions.scope)}",
        ]
    said = {
        "source": emissions.source,
        "training_type": emissions.training_type,
        "geographical_location": emissions.geographical_location,
        "hardware_used": emissions.hardware_used,
    }
    return [
        f"{EMISSIONS}:",
        f"  # grams of CO2 equivalents; scope: {comment(emissions.scope)}",
        f"  emissions: {written}",
        *(f"  {key}: {scalar(value)}" for key, value in said.items() if value is not None),
    ]


def _emission_edits(top: Top, parts: CardParts, force: bool) -> list[Edit]:
    lines, written = _emission_lines(parts), _grams(parts.emissions)
    theirs, known = top.pairs.get(EMISSIONS), top.before.get(EMISSIONS)
    if theirs is None:
        at = top.spot(EMISSIONS)
        return [(at, at, top.block(EMISSIONS, lines))]
    if written is None:
        return []
    if not (force or (known is not None and known.restored)):
        raise top.where.error(
            theirs.key, f"{EMISSIONS} stands here already, and fairprint did not write it",
            hint=f"delete it so that fairprint can write {written} g, or use --force: your lines then stay as comments",
        )  # fmt: skip
    start = top.where.line_start(theirs.key)
    lines.append("# it stands instead of these lines, which fairprint card --remove brings back:")
    was = top.where.text[start : theirs.end]
    return [(start, theirs.end, top.block(EMISSIONS, lines, was=was))]


# results


def _result_lines(result: Result) -> list[str]:
    data = {
        "type": result.dataset_type, "name": result.dataset_name, "config": result.dataset_config,
        "split": result.dataset_split, "revision": result.dataset_revision,
    }  # fmt: skip
    lines = ["- task:", f"    type: {scalar(result.task_type)}", f"    name: {scalar(result.task_name)}", "  dataset:"]
    lines += [f"    {key}: {scalar(value)}" for key, value in data.items() if value is not None]
    lines.append("  metrics:")
    for metric in result.metrics:
        lines += [f"  - type: {scalar(metric.type)}", f"    value: {scalar(metric.value)}"]
        lines.append(f"    name: {scalar(metric.name)}")
        if metric.args:
            lines.append("    args:")
            lines += [f"      {scalar(key)}: {scalar(value)}" for key, value in metric.args.items()]
    if result.source_url is not None:
        lines.append("  source:")
        lines += [] if result.source_name is None else [f"    name: {scalar(result.source_name)}"]
        lines.append(f"    url: {scalar(result.source_url)}")
    return lines


def _results_lines(parts: CardParts) -> list[str]:
    return [line for result in parts.results for line in _result_lines(result)]


def _entry_lines(parts: CardParts) -> list[str]:
    return [f"- name: {scalar(parts.model_name)}", "  results:", *(f"  {line}" for line in _results_lines(parts))]


def _index_lines(parts: CardParts) -> list[str]:
    return [f"{INDEX}:", *_entry_lines(parts)]


def _index_edits(top: Top, parts: CardParts) -> list[Edit]:
    if not parts.results:
        return []
    where, eol, index = top.where, top.eol, top.pairs.get(INDEX)
    if index is None:
        at = top.spot(INDEX)
        return [(at, at, top.block(INDEX, _index_lines(parts)))]
    if index.empty:
        return [_instead(where, index, INDEX, _index_lines(parts), eol)]
    models = [pairs(where, item) for item in entries(where, index)]
    named = _same_model(where, models, parts.model_name)
    if named is None:
        # at the head of the list: the Hub's client takes the name of the last model for all of them
        at = where.line_end(index.key)
        return [(at, at, _block(INDEX, _entry_lines(parts), index.value.start_mark.column, eol))]
    results = named.get("results")
    if results is None:
        raise where.error(
            named["name"].key, f"the model '{parts.model_name}' has no results here", hint="write 'results: []' below"
        )
    if results.empty:
        return [_instead(where, results, "results", ["results:", *_results_lines(parts)], eol)]
    _refuse_twins(where, entries(where, results), parts.results)
    at = where.line_end(results.key)
    return [(at, at, _block("results", _results_lines(parts), results.value.start_mark.column, eol))]


def _instead(where: Where, pair: Pair, key: str, lines: Sequence[str], eol: str) -> Edit:
    """Put lines instead of a key without a value, whose own line stays as a comment."""
    start, end = where.line_start(pair.key), pair.end
    column = pair.key.start_mark.column
    if where.text[start : pair.key.start_mark.index].strip(" "):
        raise where.error(
            pair.key, f"'{key}' stands behind a dash", hint=f"write another key of the entry first, and {key} below it"
        )
    return start, end, _block(key, lines, column, eol, was=where.text[start:end])


def _same_model(where: Where, models: Sequence[Mapping[str, Pair]], name: str) -> Mapping[str, Pair] | None:
    """Return the model of a name; failing that, the only one whose name is the same without its owner."""
    named = [(pair.value.value, model) for model in models if isinstance((pair := model.get("name")), Pair)
             and isinstance(pair.value, yaml.ScalarNode)]  # fmt: skip
    exact = [model for said, model in named if said == name]
    if len(exact) > 1:
        raise where.error(exact[1]["name"].key, f"the model '{name}' stands twice", hint="make one entry of the two")
    if exact:
        return exact[0]
    alike = [model for said, model in named if _without_owner(said) == _without_owner(name)]
    return alike[0] if len(alike) == 1 else None


def _without_owner(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2].casefold()


def _refuse_twins(where: Where, items: Sequence[yaml.Node], ours: Iterable[Result]) -> None:
    """Refuse results of others that the Hub's client would merge with ours."""
    known = {
        (one.task_type, one.dataset_type, one.dataset_config, one.dataset_split, one.dataset_revision) for one in ours
    }
    for item in items:
        result = pairs(where, item)
        task, data = (pairs(where, result[key].value) if key in result else {} for key in ("task", "dataset"))
        said = (_text(task, "type"), *(_text(data, key) for key in ("type", "config", "split", "revision")))
        if said in known:
            raise where.error(
                item, f"results of '{said[1]}', config {said[2]!r}, stand here already and are not marked as ours",
                hint="delete this entry, which fairprint writes anew: tools that rewrite a card lose the marks",
            )  # fmt: skip


def _text(mapping: Mapping[str, Pair], key: str) -> str | None:
    pair = mapping.get(key)
    return pair.value.value if pair is not None and isinstance(pair.value, yaml.ScalarNode) else None
