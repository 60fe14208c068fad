"""What a stored run asked, as probe sets and items again, so that its scores can be evaluated anew."""

from collections.abc import Sequence

from fairprint.audit.records import ProbeInfo
from fairprint.audit.store import ItemRow, RunFolder
from fairprint.probes.errors import StoreError
from fairprint.probes.items import Comparison, Group, Item, ProbeSet, Variant
from fairprint.probes.scores import Score


def stored_set(run: RunFolder, info: ProbeInfo) -> ProbeSet:
    """Return a probe set of a run with the items that the run asked.

    What no evaluation reads (sources of translations, words that targets are compared with, images) is left out.

    Raises:
        StoreError: the sentences are missing, or were kept by a version that did not keep all of it.
    """
    told = (
        *("name", "version", "title", "summary", "measures", "harm_type", "language", "licence", "sources"),
        *("criticism", "cannot_show", "scored", "random_factors", "covariate", "covariate_group", "sha256", "source"),
        *("quality", "remarks"),
    )
    rows: dict[str, list[ItemRow]] = {}
    for row in run.read_items(info.name):
        rows.setdefault(row.item, []).append(row)
    if info.comparisons and any(not found[0].directions for found in rows.values()):
        raise StoreError(
            f"{run.run_id} was written by an older version, which did not keep what a comparison needs",
            hint="audit the model again",
        )
    return ProbeSet(
        **{key: getattr(info, key) for key in told},
        groups=tuple(Group(id=group.id, label=group.label, words=group.words) for group in info.groups),
        comparisons=tuple(Comparison(first=first, second=second) for first, second in info.comparisons),
        items=tuple(_item(found) for found in rows.values()),
    )


def stored_scores(run: RunFolder, probe_set: str, instrument: str) -> list[Score]:
    """Return the scores that one instrument gave to one set, shard after shard."""
    names = [name for name in run.shard_names() if name.rpartition(".")[0] == f"{probe_set}.{instrument}"]
    return [score for name in names for score in run.read_shard(name)]


def _item(rows: Sequence[ItemRow]) -> Item:
    first = rows[0]
    return Item(
        id=first.item,
        template=first.template,
        lexeme=first.lexeme,
        category=first.category,
        directions=tuple(map(int, first.directions.split())),
        valence=first.valence,
        covariate=first.covariate,
        variants=tuple(Variant(group=row.group, text=row.text, span=(row.start, row.end)) for row in rows),
        word=first.word,
        answer=first.answer,
        condition=first.condition,
        flags=tuple(first.flags.split()),
    )
