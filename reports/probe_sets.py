"""What the terminal says of probe sets: which there are, what one asks and stands for, and if a file can be used."""

import json
from collections import Counter
from collections.abc import Sequence

from rich.markup import escape

from fairprint.probes.catalog import READERS, find_probe_set, own_names, own_set
from fairprint.probes.forms import FORMS, PROMPT, QUESTION, REFERENT, SLOT, TEXT
from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.labelled import IMAGES, TEXTS
from fairprint.probes.review import remarks, size
from fairprint.reports.terminal import print_rows, stdout
from fairprint.reports.text import clean

_FIRST_ITEMS = 12


def print_catalogue(*, as_json: bool) -> None:
    """Print our own sets, and the formats that others' sets are read in, as two tables or as JSON."""
    sets = [
        {
            "name": p.name,
            "language": p.language,
            "groups": ", ".join(group.label for group in p.groups),
            "templates": len(p.templates),
            "words": len(p.lexemes) if p.comparisons else 0,
            "items": p.pairs if p.comparisons else len(p.items),
            "sentences": p.sentences,
            "measures": p.measures,
        }
        for p in map(own_set, own_names())
    ]
    formats = [
        {"format": name, "reads": reader.reads, "given_as": f"{name}:{'FILE or FOLDER' if reader.folders else 'FILE'}"}
        for name, reader in READERS.items()
    ]
    if as_json:
        print(json.dumps({"probe_sets": sets, "formats": formats}, indent=1, ensure_ascii=False))
        return
    print_rows(sets, title="probe sets", as_json=False)
    stdout().print()
    print_rows(formats, title="formats of other sets, given as FORMAT:PATH", as_json=False)


def print_checked(given: Sequence[str], *, as_json: bool) -> None:
    """Print of each set how large it is and what a careful reader would remark.

    Raises:
        UsageError: there is no such set, or its file cannot be used; what was said of those before it stands.
    """
    checked = []
    for name in given:
        probe_set = find_probe_set(name)
        told = remarks(probe_set)
        if not as_json:
            print(clean(f"{name}: valid; {size(probe_set)}"))
            for remark in told:
                print(f"  {clean(remark)}")
        checked.append(
            {"given": name, "name": probe_set.name, "valid": True, "size": size(probe_set), "remarks": list(told)}
        )
    if as_json:
        print(json.dumps(checked, indent=1, ensure_ascii=False))


def show_probe_set(probe_set: ProbeSet, *, as_json: bool) -> None:
    """Print what a set asks, what it stands for and what it cannot show, with its first items."""
    if as_json:
        print(json.dumps(_as_json(probe_set), indent=1, ensure_ascii=False))
        return
    console = stdout()
    console.print(f"[bold]{escape(clean(probe_set.title))}[/bold]  {probe_set.name}, version {probe_set.version}")
    console.print(escape(clean(probe_set.summary)))
    for key, values in _facts(probe_set).items():
        console.print(f"\n[bold]{key}[/bold]")
        for value in values:
            console.print(f"  {escape(clean(value))}", highlight=False)


def _facts(probe_set: ProbeSet) -> dict[str, tuple[str, ...]]:
    published = probe_set.scored in FORMS
    facts = {
        "measures": (probe_set.measures,),
        "harm": (probe_set.harm_type,),
        "groups": tuple(g.label + (f": {', '.join(g.words)}" if g.words else "") for g in probe_set.groups),
        "language": (probe_set.language,),
        "size": (
            size(probe_set) if published else f"{len(probe_set.items):,} items, {probe_set.sentences:,} sentences",
        ),
        "random factors": probe_set.random_factors,
        "covariate": (probe_set.covariate or "none",),
        "licence": (probe_set.licence,),
        "sources": probe_set.sources,
        "known criticism": probe_set.criticism,
        "cannot show": probe_set.cannot_show,
        "sha256": (probe_set.sha256,),
    }
    if published:
        facts["how the file was read"] = remarks(probe_set)
        facts["first items"] = tuple(told_item(item, probe_set.scored) for item in probe_set.items[:_FIRST_ITEMS])
    else:
        first = [" / ".join(dict.fromkeys(v.text for v in i.variants)) for i in _first_of_each_template(probe_set)]
        labelled = probe_set.scored in (TEXTS, IMAGES, TEXT)
        facts["first items" if labelled else "templates"] = tuple(first[:_FIRST_ITEMS] if labelled else first)
    return {key: values for key, values in facts.items() if values}


def told_item(item: Item, form: str) -> str:
    """Return what an item of a published set asks, on one line."""
    first = item.variants[0]
    if form == QUESTION:
        options = [variant.words for variant in item.variants]
        return f"{item.stem} - {' / '.join(options)}"
    if form == REFERENT:
        before, after = first.frame
        return f"{before}[{' / '.join(variant.words for variant in item.variants)}]{after}"
    if form == SLOT:
        before, after = first.frame
        return f"{before}[...]{after}"
    if form == PROMPT:
        return f"{first.text} [...]"
    return " / ".join(dict.fromkeys(variant.text for variant in item.variants))


def _as_json(probe_set: ProbeSet) -> dict[str, object]:
    items = probe_set.items
    return {
        "name": probe_set.name,
        "version": probe_set.version,
        "title": probe_set.title,
        "summary": probe_set.summary,
        "measures": probe_set.measures,
        "harm_type": probe_set.harm_type,
        "groups": [{"id": g.id, "label": g.label, "words": list(g.words)} for g in probe_set.groups],
        "comparisons": [[pair.first, pair.second] for pair in probe_set.comparisons],
        "language": probe_set.language,
        "scored": probe_set.scored,
        "items": len(items),
        "sentences": probe_set.sentences,
        "random_factors": list(probe_set.random_factors),
        "covariate": probe_set.covariate,
        "licence": probe_set.licence,
        "sources": list(probe_set.sources),
        "criticism": list(probe_set.criticism),
        "cannot_show": list(probe_set.cannot_show),
        "sha256": probe_set.sha256,
        "conditions": dict(Counter(item.condition for item in items if item.condition)),
        "categories": dict(Counter(item.category for item in items)),
        "quality": [
            {"rule": rule, "means": meaning, "items": sum(rule in item.flags for item in items)}
            for rule, meaning in probe_set.quality.items()
        ],
        "remarks": list(remarks(probe_set)),
        "first_items": [
            {"id": item.id, "texts": {variant.group: variant.text for variant in item.variants}}
            for item in items[:_FIRST_ITEMS]
        ],
    }


def _first_of_each_template(probe_set: ProbeSet) -> list[Item]:
    return list({item.template: item for item in reversed(probe_set.items)}.values())[::-1]
