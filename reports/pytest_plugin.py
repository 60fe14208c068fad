"""Limits of a model as tests of pytest: inert unless a test asks for one of its fixtures.

    def test_the_model_keeps_its_limits(fairprint_limit):
        fairprint_limit.check()

runs once for each limit of the settings file; with ``@pytest.mark.fairprint_limit("NAME")`` for that one alone. A limit
that fails is a test that fails, one that is inconclusive a skipped test (a failed one where the settings are strict),
and one that cannot be evaluated an error.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fairprint.audit.checks import CheckRecord, LimitVerdict

_OPTIONS = {
    "run": "the stored run that is judged; default: latest",
    "config": "the settings file; default: as fairprint check finds it from pytest's root folder",
    "baseline": "the baseline's file; default: as the settings say",
    "store": "the folder of runs; default: as the settings say",
}
_MARKER = "fairprint_limit(name): ask for the fixture fairprint_limit of one limit alone, by its name"
_PROPERTIES = ("verdict", "worsening", "bound", "limit", "value", "baseline", "holm", "items", "missing")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, each of which can stand in pytest's own settings as well."""
    group = parser.getgroup("fairprint", "limits of a model (fairprint)")
    for name, told in _OPTIONS.items():
        group.addoption(f"--fairprint-{name}", metavar=name.upper(), default=None, help=told)
        parser.addini(f"fairprint_{name}", told, default=None)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for a limit once for each, in the order of the settings file."""
    if "fairprint_limit" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("fairprint_limit")
    found = [str(name) for name in marker.args] if marker is not None else _names(metafunc.config)
    metafunc.parametrize("fairprint_limit", found, indirect=True, ids=found)


@dataclass(frozen=True, slots=True)
class KeptLimit:
    """One limit, as it was judged.

    Attributes:
        found: the verdict with all that it rests on.
        strict: whether an inconclusive limit fails.
    """

    found: "LimitVerdict"
    strict: bool

    def check(self) -> None:
        """Fail, skip or pass the test as the limit does.

        Raises:
            RuntimeError: the limit could not be evaluated.
        """
        __tracebackhide__ = True
        from fairprint.reports.check_table import sentences

        told = "\n".join(sentences(self.found))
        if self.found.verdict == "error":
            raise RuntimeError(told)
        if self.found.verdict == "fail" or (self.found.verdict == "inconclusive" and self.strict):
            pytest.fail(told, pytrace=False)
        if self.found.verdict == "inconclusive":
            pytest.skip(told)


@pytest.fixture(scope="session")
def fairprint_check(pytestconfig: pytest.Config) -> "CheckRecord":
    """Return the check of the run, made once a process."""
    from fairprint.audit.gate import check_run

    given = {name: _given(pytestconfig, name) for name in _OPTIONS}
    paths: dict[str, Any] = {name: _path(pytestconfig, given[name]) for name in ("config", "baseline", "store")}
    return check_run(given["run"] or "latest", start=pytestconfig.rootpath, **paths)


@pytest.fixture(scope="session")
def _fairprint_kept(fairprint_check: "CheckRecord") -> dict[str, KeptLimit]:
    if fairprint_check.refused:
        raise RuntimeError(f"the baseline cannot be compared: {'; '.join(fairprint_check.refused)}")
    return {limit.name: KeptLimit(limit, fairprint_check.strict) for limit in fairprint_check.limits}


@pytest.fixture
def fairprint_limit(
    request: pytest.FixtureRequest, _fairprint_kept: dict[str, KeptLimit], record_property: Any
) -> KeptLimit:
    """Return a limit of the settings file, whose ``check()`` is the test; its numbers stand in the test's report."""
    from fairprint.probes.errors import nearest

    name = getattr(request, "param", None)
    if name not in _fairprint_kept:
        raise LookupError(f"there is no limit '{name}'.{nearest(str(name), _fairprint_kept)}")
    kept = _fairprint_kept[name]
    for key in _PROPERTIES:
        if (value := getattr(kept.found, key)) is not None:
            record_property(f"fairprint.{key}", value)
    return kept


def _given(config: pytest.Config, name: str) -> str | None:
    return config.getoption(f"--fairprint-{name}") or config.getini(f"fairprint_{name}") or None


def _path(config: pytest.Config, given: str | None) -> Path | None:
    return None if given is None else config.rootpath / given


def _names(config: pytest.Config) -> list[str]:
    from fairprint.audit.rules import names
    from fairprint.audit.settings import read_settings

    found = read_settings(_path(config, _given(config, "config")), config.rootpath)
    return [name for limit in found.settings.limits for name in names(limit).values()]
