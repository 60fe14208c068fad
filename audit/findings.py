"""What stands beside estimates in a run record: tests, families of tests, and second opinions."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Base of all stored models: unknown keys are errors, and so are NaN and infinity."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class SecondOpinion(Record):
    """What another method says of an estimate: beside the default, never in its place without a word.

    Attributes:
        low, high, p_value: as those of ``Estimate``; None with ``reason``.
        draws: random draws that it rests on, or None where it takes none.
        lost: draws without a value or without a spread, which count as infinitely far off.
        disagrees: how it differs from the interval that stands first, in words; empty where the two agree.
    """

    method: str
    low: float | None
    high: float | None
    p_value: float | None
    draws: int | None
    lost: int
    reason: str | None
    disagrees: str = ""


class Family(Record):
    """Tests that are corrected together: how many, and how many of them survive at a false discovery ``rate``."""

    name: str
    method: str
    rate: float
    tests: int
    survive: int


class SignificanceTest(Record):
    """A test that is no function of an estimate, such as one that exchanges labels.

    Attributes:
        name: ``permutation``.
        instrument: as in ``Estimate``, and so are ``probe_set`` and ``comparison``.
        statistic: what was tested, such as a difference of two means, in ``unit``; None with ``reason``.
        p_value: one-sided: how probable a statistic at least as large would be if ``assumes`` held.
        ways: arrangements of the labels that were looked at, the observed one included.
        exact: whether these are all there are; else they are a random sample.
        sizes: units of the two sides, such as target words.
        missing: units without an answer, not counted in ``sizes``.
        assumes: what holds where nothing is to be found, in words.
    """

    name: str
    probe_set: str
    instrument: str
    comparison: tuple[str, str]
    statistic: float | None
    unit: str
    p_value: float | None
    ways: int
    exact: bool
    sizes: tuple[int, int]
    missing: int
    assumes: str
    reason: str | None
