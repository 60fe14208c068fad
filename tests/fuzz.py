"""Damaged files for tests of readers: what bad disks, bad editors and bad exports make of a good file."""

from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

from fairprint.probes.errors import ProbeFileError
from fairprint.probes.items import ProbeSet

_ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "cp1252", "utf-8-sig", "cp949")
_BYTES = (
    b"\x00",
    b"\xff",
    b'"',
    b"\\",
    b"\r",
    b"\n",
    b"\t",
    b",",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\xe2\x80",
    b"\\ud800",
    b"\xef\xbb\xbf",
)


@st.composite
def damaged(draw: st.DrawFn, data: bytes, *, delimiter: str = "", lines: bool = True) -> bytes:
    """Return a file's bytes after one to three damages.

    They are cut off or emptied, a run of them is lost or stands twice, bytes are flipped, overwritten or put in, the
    file is saved in another encoding, lines are dropped, doubled or shuffled, or the cells of its lines are shuffled.

    Args:
        data: a good file, short enough that a damage is likely to hit what matters.
        delimiter: what stands between cells, for files that are tables; without it no cells are shuffled.
        lines: whether lines may be moved.
    """
    kinds: list[Callable[[st.DrawFn, bytes], bytes]] = [_cut, _lost, _doubled, _flipped, _put_in, _encoded, _anything]
    if lines:
        kinds.append(_lines)
    if delimiter:
        kinds.append(lambda draw, found: _columns(draw, found, delimiter.encode()))
    for _ in range(draw(st.integers(1, 3))):
        data = draw(st.sampled_from(kinds))(draw, data)
    return data


def survives(load: Callable[[Path], ProbeSet], path: Path, data: bytes) -> ProbeSet | None:
    """Write a file and read it: a set, or None after an error that names the file; any other exception is a failure.

    An error must name the place: the file, and a line unless the file as a whole is to blame. Where a set comes out,
    its spans lie in their texts, its ids are unique, and all of it can be written.
    """
    path.write_bytes(data)
    try:
        probe_set = load(path)
    except ProbeFileError as error:
        assert str(path.parent) in error.message or path.name in error.message
        assert error.line is None or 1 <= error.line <= max(1, _count_lines(data))
        error.message.encode()
        return None
    check_set(probe_set)
    return probe_set


def check_set(probe_set: ProbeSet) -> None:
    """Assert what every probe set must be, whatever file it was read from."""
    assert probe_set.items
    assert probe_set.comparisons
    ids = [item.id for item in probe_set.items]
    assert len(set(ids)) == len(ids)
    groups = {group.id for group in probe_set.groups}
    for comparison in probe_set.comparisons:
        assert {comparison.first, comparison.second} <= groups
    for item in probe_set.items:
        assert item.variants
        assert len(item.directions) == len(probe_set.comparisons)
        assert set(item.flags) <= set(probe_set.quality)
        for variant in item.variants:
            start, end = variant.span
            assert 0 <= start <= end <= len(variant.text)
            variant.text.encode()
        f"{item.id}{item.template}{item.lexeme}{item.category}{item.condition}".encode()


def _count_lines(data: bytes) -> int:
    return len(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"))


def _place(draw: st.DrawFn, data: bytes) -> int:
    return draw(st.integers(0, len(data)))


def _cut(draw: st.DrawFn, data: bytes) -> bytes:
    return data[: _place(draw, data)]


def _lost(draw: st.DrawFn, data: bytes) -> bytes:
    start = _place(draw, data)
    return data[:start] + data[start + draw(st.integers(1, 40)) :]


def _doubled(draw: st.DrawFn, data: bytes) -> bytes:
    start = _place(draw, data)
    end = start + draw(st.integers(1, 400))
    return data[:end] + data[start:end] + data[end:]


def _flipped(draw: st.DrawFn, data: bytes) -> bytes:
    found = bytearray(data)
    for place in draw(st.lists(st.integers(0, max(0, len(data) - 1)), min_size=1, max_size=8)) if data else ():
        found[place] ^= draw(st.integers(1, 255))
    return bytes(found)


def _put_in(draw: st.DrawFn, data: bytes) -> bytes:
    start = _place(draw, data)
    over = draw(st.integers(0, 3))
    return data[:start] + draw(st.sampled_from(_BYTES)) + data[start + over :]


def _encoded(draw: st.DrawFn, data: bytes) -> bytes:
    return data.decode("utf-8", "replace").encode(draw(st.sampled_from(_ENCODINGS)), "replace")


def _anything(draw: st.DrawFn, data: bytes) -> bytes:
    return draw(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda text: text.encode("utf-8"))))


def _lines(draw: st.DrawFn, data: bytes) -> bytes:
    found = data.split(b"\n")
    what = draw(st.sampled_from(["drop", "double", "shuffle"]))
    if what == "shuffle":
        return b"\n".join(draw(st.permutations(found)))
    place = draw(st.integers(0, len(found) - 1))
    return b"\n".join(found[:place] + found[place : place + 1] * (2 if what == "double" else 0) + found[place + 1 :])


def _columns(draw: st.DrawFn, data: bytes, delimiter: bytes) -> bytes:
    """Put the cells of each line in another order, the same in all lines, or of one line only."""
    found = [line.split(delimiter) for line in data.split(b"\n")]
    width = max(map(len, found))
    order = draw(st.permutations(range(width)))
    only = draw(st.none() | st.integers(0, len(found) - 1))
    return b"\n".join(
        delimiter.join(line[at] for at in order if at < len(line)) if only in (None, number) else delimiter.join(line)
        for number, line in enumerate(found)
    )
