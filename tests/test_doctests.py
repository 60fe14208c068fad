"""The examples in docstrings: pytest's own --doctest-modules would import every class a second time."""

import doctest
import pkgutil
from importlib import import_module

PACKAGES = ("fairprint.probes", "fairprint.audit", "fairprint.reports")


def test_the_examples_in_docstrings_are_true() -> None:
    examples = 0
    for package in PACKAGES:
        for found in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
            result = doctest.testmod(import_module(found.name))
            assert result.failed == 0, f"{found.name}: the output above tells which example"
            examples += result.attempted

    assert examples > 10, f"only {examples} examples were found"
