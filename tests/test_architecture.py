"""The rules of the code base that no linter knows, read off the syntax tree of every module."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("probes", "audit", "reports")
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]

ROWS = {
    # probe sets, and how a model is asked
    "probes.errors": 0,
    "probes.items": 1,
    "probes.requests": 1,
    "probes.scores": 1,
    "probes.forms": 1,
    "probes.published": 1,
    "probes.schema": 2.0,
    "probes.notations": 2.1,
    "probes.associations": 2.1,
    "probes.files": 2.2,
    "probes.labelled": 2.2,
    "probes.texts": 2.2,
    "probes.readers.tables": 2.2,
    "probes.lexicons": 2.3,
    "probes.readers.bold": 2.3,
    "probes.readers.honest": 2.3,
    "probes.choices": 2.2,
    "probes.readers.bbq": 2.3,
    "probes.readers.kobbq": 2.35,
    "probes.readers.json_files": 2.2,
    "probes.quality": 2.2,
    "probes.readers.crows_pairs": 2.3,
    "probes.readers.stereoset": 2.3,
    "probes.readers.referents": 2.2,
    "probes.readers.winobias": 2.3,
    "probes.readers.winogender": 2.3,
    "probes.review": 3,
    "probes.catalog": 3,
    "probes.tasks": 3,
    "probes.tasks_embed": 3,
    "probes.tasks_pairs": 3,
    "probes.tasks_classify": 3,
    "probes.tasks_choice": 3.05,
    "probes.tasks_referent": 3,
    "probes.tasks_continue": 3,
    "probes.instruments": 3.1,
    # measuring, and keeping what was measured
    "audit.languages": 4,
    "audit.files": 3.9,
    "audit.findings": 3.9,
    "audit.memory": 3.9,
    "audit.records": 4,
    "audit.scales": 3.9,
    "audit.statistics": 4,
    "audit.resampling": 4.1,
    "audit.bootstrap": 4.2,
    "audit.away": 4.1,
    "audit.bounds": 4.1,
    "audit.significance": 4.1,
    "audit.multiplicity": 4.2,
    "audit.planning": 4.2,
    "audit.association": 4.5,
    "audit.metrics": 5.0,
    "audit.parts": 5.01,
    "audit.opinions": 5.01,
    "audit.labelled_metrics": 5.05,
    "audit.choice_metrics": 5.06,
    "audit.gaps": 5.05,
    "audit.referent_metrics": 5.06,
    "audit.pair_metrics": 5.05,
    "audit.triple_metrics": 5.06,
    "audit.continuation_metrics": 5.06,
    "audit.utility_metrics": 5.05,
    "audit.evaluate": 5.1,
    "audit.agreement": 5.15,
    "audit.beside": 5.15,
    "audit.comparisons": 4.1,
    "audit.checks": 4.2,
    "audit.judging": 4.25,
    "audit.limits": 4.3,
    "audit.settings": 4.4,
    "audit.amounts": 4.3,
    "audit.paired": 5.15,
    "audit.shift": 5.17,
    "audit.difference": 5.2,
    "audit.comparable": 5.0,
    "audit.provenance": 5.0,
    "audit.store": 5.0,
    "audit.carbon_sensors": 5.0,
    "audit.places": 5.03,
    "audit.cpu_time": 4.9,
    "audit.grid": 5.06,
    "audit.footprints": 5.05,
    "audit.training_cost": 1,
    "audit.references": 3.9,
    "audit.estimate": 5.1,
    "audit.carbon": 5.1,
    "audit.spread": 5.1,
    "audit.metered": 4.1,
    "audit.journal": 4.2,
    "audit.curve": 4.0,
    "audit.budget": 4.2,
    "audit.neighbours": 4.2,
    "audit.quality": 4.2,
    "audit.item_means": 4.1,
    "audit.settling": 5.2,
    "audit.metered_store": 5.3,
    "audit.overlaps": 4.1,
    "audit.pareto": 1,
    "audit.together": 5.2,
    "audit.ledger_runs": 5.35,
    "audit.ledger_searches": 5.4,
    "audit.ledger_fronts": 5.45,
    "audit.ledger": 5.5,
    "audit.imported": 5.1,
    "audit.import_codecarbon": 5.2,
    "audit.carbontracker_logs": 5.2,
    "audit.import_carbontracker": 5.3,
    "audit.import_stores": 5.4,
    "audit.importing": 5.5,
    "audit.metering": 5.4,
    "audit.hosts": 5.35,
    "audit.meter": 5.5,
    "audit.remaining": 4.1,
    "audit.searching": 4.2,
    "audit.training": 5.6,
    "audit.topics": 4.0,
    "audit.reuse": 1,
    "audit.regimes": 5.6,
    "audit.regimes_reuse": 5.65,
    "audit.topics_training": 5.7,
    "audit.process_group": 1,
    "audit.metered_command": 5.6,
    "audit.backends.packing": 5.0,
    "audit.backends.gathering": 5.0,
    "audit.backends.memory": 4.95,
    "audit.backends.sampling": 5.0,
    "audit.backends.hf": 5.1,
    "audit.backends.pieces": 5.15,
    "audit.backends.causal": 5.2,
    "audit.backends.masked": 5.2,
    "audit.backends.classifier": 5.2,
    "audit.backends.endpoint_requests": 5.0,
    "audit.backends.endpoint_answers": 5.1,
    "audit.backends.endpoint_client": 5.1,
    "audit.backends.endpoint_canaries": 5.2,
    "audit.backends.endpoint": 5.25,
    "audit.backends.encoder": 5.2,
    "audit.backends.seq2seq": 5.2,
    "audit.answers": 5.0,
    "audit.recorded_stereoset": 5.05,
    "audit.recorded_formats": 5.05,
    "audit.recorded": 5.1,
    "audit.recording": 5.1,
    "audit.placing": 5.2,
    "audit.sources": 5,
    "audit.stored": 5.2,
    "audit.compare": 5.3,
    "audit.absolute": 5.3,
    "audit.rules": 5.3,
    "audit.baseline": 5.3,
    "audit.gate_evidence": 5.4,
    "audit.gate_words": 5.4,
    "audit.gate": 5.5,
    "audit.gate_baseline": 5.6,
    "audit.questions": 5,
    "audit.kinds": 5.3,
    "audit.adapters": 5.4,
    "audit.gguf_files": 5.0,
    "audit.models": 6,
    "audit.scorers": 6.05,
    "audit.replay": 6.1,
    "audit.forecast": 7,
    "audit.work": 7,
    "audit.this_machine": 7.05,
    "audit.runner": 7.1,
    # telling
    "reports.text": 8.0,
    "reports.card_parts": 8.0,
    "reports.card_sentinels": 8.0,
    "reports.card_values": 8.0,
    "reports.card_headings": 8.1,
    "reports.card_front": 8.1,
    "reports.card_body": 8.2,
    "reports.card_yaml": 8.2,
    "reports.card_schema": 8.25,
    "reports.card_file": 8.3,
    "reports.numbers": 8.1,
    "reports.nearness": 8.15,
    "reports.classified": 8.0,
    "reports.utility": 8.15,
    "reports.wording": 8.2,
    "reports.figures": 8.3,
    "reports.tables": 8.3,
    "reports.classified_views": 8.35,
    "reports.selection": 8.31,
    "reports.gap_views": 8.36,
    "reports.benchmarks": 8.0,
    "reports.benchmark_views": 8.36,
    "reports.planned": 8.32,
    "reports.precision": 8.35,
    "reports.sections": 8.4,
    "reports.summary": 8.5,
    "reports.drawing": 8.35,
    "reports.card_text": 8.1,
    "reports.card_runs": 8.1,
    "reports.card_findings": 8.35,
    "reports.card_cost": 8.2,
    "reports.card_bias": 8.4,
    "reports.card_recommend": 8.45,
    "reports.card_evaluation": 8.45,
    "reports.card_environment": 8.45,
    "reports.card_results": 8.45,
    "reports.card_figures": 8.55,
    "reports.card_content": 8.6,
    "reports.mlbom_parts": 8.2,
    "reports.mlbom_metrics": 8.5,
    "reports.mlbom_energy": 8.5,
    "reports.mlbom_words": 8.5,
    "reports.mlbom": 8.6,
    "reports.card": 9.1,
    "reports.cli_card": 9.2,
    "reports.comparison_views": 8.5,
    "reports.comparison": 8.55,
    "reports.comparison_page": 9.1,
    "reports.baseline_table": 9.1,
    "reports.github": 9.12,
    "reports.check_table": 9.11,
    "reports.junit": 9.12,
    "reports.comparison_table": 9.1,
    "reports.sidecar": 8.4,
    "reports.training_checks": 8.45,
    "reports.training_figure": 8.4,
    "reports.training_spans": 8.45,
    "reports.training_views": 8.5,
    "reports.scale_views": 8.3,
    "reports.ledger_data": 8.3,
    "reports.ledger_fronts": 8.35,
    "reports.ledger_figure": 8.4,
    "reports.ledger_views": 8.4,
    "reports.regimes_among": 8.3,
    "reports.regimes_views": 8.45,
    "reports.regimes_figure": 8.5,
    "reports.regimes_table": 9.07,
    "reports.cli_regimes": 9.2,
    "reports.ledger_page": 9.1,
    "reports.printed": 9.05,
    "reports.ledger_table": 9.06,
    "reports.doctor": 9,
    "reports.html": 9,
    "reports.options": 9,
    "reports.terminal": 9,
    "reports.closing": 9.05,
    "reports.probe_sets": 9.05,
    "reports.cli_probes": 9.1,
    "reports.metered_table": 9.05,
    "reports.metered_runs": 9.05,
    "reports.rebound": 9.06,
    "reports.imported_runs": 9.05,
    "reports.cli_import": 9.2,
    "reports.cli_runs": 9.1,
    "reports.cli_meter": 9.2,
    "reports.plan_table": 9.05,
    "reports.estimate_table": 9.06,
    "reports.cli_audit": 9.2,
    "reports.cli_plan": 9.2,
    "reports.cli_estimate": 9.2,
    "reports.cli_topics": 9.2,
    "reports.cli_ledger": 9.2,
    "reports.cli_compare": 9.2,
    "reports.cli_check": 9.2,
    "reports.cli": 10,
    "reports.pytest_plugin": 10,
}
"""Where each module stands: it imports modules of lower rows and no others."""

AT_MODULE_LEVEL = {
    "codecarbon": set(),
    "gguf": set(),
    "jinja2": {"reports.html"},
    "markupsafe": {
        "reports.benchmark_views",
        "reports.card_text",
        "reports.classified_views",
        "reports.comparison",
        "reports.comparison_page",
        "reports.comparison_views",
        "reports.gap_views",
        "reports.html",
        "reports.ledger_fronts",
        "reports.ledger_table",
        "reports.ledger_views",
        "reports.nearness",
        "reports.numbers",
        "reports.plan_table",
        "reports.planned",
        "reports.precision",
        "reports.printed",
        "reports.regimes_figure",
        "reports.regimes_views",
        "reports.scale_views",
        "reports.sections",
        "reports.summary",
        "reports.tables",
        "reports.text",
        "reports.training_checks",
        "reports.training_spans",
        "reports.training_views",
        "reports.utility",
        "reports.wording",
    },
    "matplotlib": {"reports.figures", "reports.ledger_figure", "reports.regimes_figure", "reports.training_figure"},
    "openai": set(),
    "numpy": {
        "audit.agreement",
        "audit.association",
        "audit.backends.causal",
        "audit.bootstrap",
        "audit.bounds",
        "audit.choice_metrics",
        "audit.labelled_metrics",
        "audit.metrics",
        "audit.pair_metrics",
        "audit.paired",
        "audit.item_means",
        "audit.planning",
        "audit.resampling",
        "audit.scales",
        "audit.significance",
        "audit.statistics",
        "audit.triple_metrics",
        "audit.utility_metrics",
    },
    "pandas": set(),
    "psutil": set(),
    "pyarrow": set(),
    "pytest": {"reports.pytest_plugin"},
    "pycountry": set(),
    "pydantic": {
        "probes.files",
        "probes.schema",
        "audit.answers",
        "audit.baseline",
        "audit.checks",
        "audit.comparisons",
        "audit.findings",
        "audit.journal",
        "audit.limits",
        "audit.metered",
        "audit.recorded",
        "audit.records",
        "audit.settings",
        "audit.store",
        "reports.card_schema",
    },
    "rich": {
        "reports.closing",
        "reports.check_table",
        "reports.comparison_table",
        "reports.estimate_table",
        "reports.ledger_table",
        "reports.metered_table",
        "reports.plan_table",
        "reports.printed",
        "reports.terminal",
        "reports.probe_sets",
    },
    "scipy": {"audit.away", "audit.planning", "audit.resampling", "audit.significance", "audit.statistics"},
    "torch": {
        "audit.backends.causal",
        "audit.backends.classifier",
        "audit.backends.encoder",
        "audit.backends.gathering",
        "audit.backends.hf",
        "audit.backends.masked",
        "audit.backends.memory",
        "audit.backends.sampling",
        "audit.backends.seq2seq",
    },
    "transformers": {"audit.training", "audit.topics_training"},  # a callback inherits from theirs
    "typer": {
        "reports.check_table",
        "reports.cli",
        "reports.baseline_table",
        "reports.cli_audit",
        "reports.cli_card",
        "reports.cli_check",
        "reports.cli_compare",
        "reports.cli_estimate",
        "reports.cli_import",
        "reports.cli_ledger",
        "reports.cli_meter",
        "reports.cli_plan",
        "reports.cli_probes",
        "reports.cli_regimes",
        "reports.cli_runs",
        "reports.cli_topics",
        "reports.options",
    },
    "yaml": {"probes.notations", "reports.card_front", "reports.card_schema", "reports.card_yaml"},
}
"""Who may import a package of others when it is itself imported; in a function it may be any module."""

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60
ONE_LINE_AN_OPTION = {
    "audit.runner.audit",
    "reports.cli_audit.audit",
    "reports.cli_card.card",
    "reports.cli_estimate.estimate",
    "reports.cli_meter.meter",
}
"""Functions that are the options of a command: their signature is not counted."""

FOREIGN_PATHS = ("/wo" + "rk/", "/op" + "t/", "/ro" + "ot/", "/ho" + "me/", "tmp" + "/w")
"""Places of one machine; put together here so that this file does not hold them."""


@dataclass(frozen=True)
class Import:
    """One name of an import statement: ``module`` is what the statement names, ``name`` what it takes from there."""

    line: int
    module: str
    name: str
    level: int
    in_function: bool
    for_types: bool


@cache
def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name != "__init__.py"
    }


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def walk(node: ast.AST, in_function: bool = False, for_types: bool = False) -> Iterator[tuple[ast.AST, bool, bool]]:
    """Yield every node below one, with whether it is inside a function and whether only type checkers read it."""
    for child in ast.iter_child_nodes(node):
        typed = for_types or (is_type_checking(node) and child not in getattr(node, "orelse", ()))
        yield child, in_function, typed
        deeper = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from walk(child, in_function or deeper, typed)


@cache
def imports(path: Path) -> tuple[Import, ...]:
    found = []
    for node, in_function, for_types in walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [Import(node.lineno, a.name, "", 0, in_function, for_types) for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found += [Import(node.lineno, module, a.name, node.level, in_function, for_types) for a in node.names]
    return tuple(found)


def own(found: Import) -> str | None:
    """Return the module of ours that an import loads, or None for a module of others."""
    top, _, module = found.module.partition(".")
    if top != "fairprint":
        return None
    deeper = f"{module}.{found.name}".strip(".")
    return deeper if deeper in modules() else module


def graph() -> dict[str, dict[str, int]]:
    """Return what each module imports of ours, with the line where it does so first."""
    edges: dict[str, dict[str, int]] = {}
    for module, path in modules().items():
        edges[module] = {}
        for found in imports(path):
            target = own(found)
            if target is not None:
                edges[module].setdefault(target, found.line)
    return edges


def find_cycle(edges: dict[str, dict[str, int]]) -> list[str]:
    """Return the modules of one cycle, or nothing: a depth-first search that keeps the way it came."""
    done: set[str] = set()

    def visit(module: str, way: list[str]) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return []
        for target in edges.get(module, ()):
            cycle = visit(target, [*way, module])
            if cycle:
                return cycle
        done.add(module)
        return []

    return next((cycle for module in edges if (cycle := visit(module, []))), [])


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode or not listed.stdout:
        pytest.skip("needs a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


# who imports whom


def test_every_module_has_a_row_and_every_row_a_module() -> None:
    assert sorted(modules()) == sorted(ROWS), "place the module in ROWS of this test and in the table of the design"


def test_a_module_imports_only_lower_rows() -> None:
    edges = graph()
    upwards = [
        f"{module}:{line} (row {ROWS[module]}) imports {target} (row {ROWS.get(target)})"
        for module, targets in edges.items()
        for target, line in targets.items()
        if module in ROWS and ROWS[module] <= ROWS.get(target, float("inf"))
    ]

    assert not upwards
    assert sum(map(len, edges.values())) > 50, "the test no longer sees the imports"


def test_no_import_closes_a_cycle() -> None:
    assert find_cycle({"a": {"b": 1}, "b": {"c": 1, "d": 2}, "c": {}, "d": {"b": 1}}) == ["b", "d", "b"]
    assert find_cycle(graph()) == []


def test_a_package_says_what_it_is_and_does_nothing() -> None:
    busy = []
    for package in PACKAGES:
        for path in (ROOT / package).rglob("__init__.py"):
            body = tree(path).body
            if len(body) != 1 or ast.get_docstring(tree(path)) is None:
                busy.append(str(path.relative_to(ROOT)))

    assert not busy


def test_probes_need_neither_torch_nor_numpy_nor_pandas() -> None:
    heavy = {"torch", "transformers", "numpy", "pandas", "scipy"}
    offenders = [
        f"{module}:{found.line} imports {found.module}"
        for module, path in modules().items()
        if module.startswith("probes.")
        for found in imports(path)
        if found.module.partition(".")[0] in heavy
    ]

    assert not offenders


def test_a_package_of_others_is_imported_at_module_level_only_where_that_was_agreed() -> None:
    offenders = []
    for module, path in modules().items():
        for found in imports(path):
            package = found.module.partition(".")[0]
            if found.level or package == "fairprint" or package in sys.stdlib_module_names:
                continue
            if not (found.in_function or found.for_types) and module not in AT_MODULE_LEVEL.get(package, ()):
                offenders.append(f"{module}:{found.line} imports {found.module}")

    assert not offenders, "import it in the function that uses it"


def test_our_packages_are_imported_by_their_full_names() -> None:
    offenders = []
    for module, path in modules().items():
        for found in imports(path):
            if found.level:
                offenders.append(f"{module}:{found.line} is relative")
            elif found.module.partition(".")[0] in PACKAGES:
                offenders.append(f"{module}:{found.line} would load a second copy of {found.module}")
            elif found.name == "*":
                offenders.append(f"{module}:{found.line} imports * from {found.module}")

    assert not offenders


# what a module holds


def test_a_file_can_be_read_in_one_sitting() -> None:
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()}

    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES_OF_A_FILE} == {}


def functions(
    module: str, node: ast.AST
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    """Yield every function and class below a node, with its full name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{module}.{child.name}"
            yield name, child
            yield from functions(name, child)
        else:
            yield from functions(module, child)


def test_a_function_fits_on_a_screen() -> None:
    long = {}
    for module, path in modules().items():
        for name, node in functions(module, tree(path)):
            if isinstance(node, ast.ClassDef):
                continue
            first = node.body[0].lineno if name in ONE_LINE_AN_OPTION else node.lineno
            lines = (node.end_lineno or first) - first + 1
            if lines > MOST_LINES_OF_A_FUNCTION:
                long[name] = lines

    assert long == {}


def public(
    body: list[ast.stmt], prefix: str
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    """Yield the public functions and classes of a module, and the public methods of these classes."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield f"{prefix}.{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{prefix}.{node.name}")


def test_what_is_public_says_what_it_does() -> None:
    silent = [module for module, path in modules().items() if not ast.get_docstring(tree(path))]
    for module, path in modules().items():
        silent += [name for name, node in public(tree(path).body, module) if not ast.get_docstring(node)]

    assert not silent


def test_importing_a_module_prints_nothing() -> None:
    loud = [
        f"{module}:{node.lineno}"
        for module, path in modules().items()
        for node, in_function, _ in walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"print", "pprint"}
        and not in_function
    ]

    assert not loud


# what is packaged


def test_every_folder_of_code_is_a_listed_package() -> None:
    folders = {
        ".".join(("fairprint", *path.parent.relative_to(ROOT).parts))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    without_docstring = [name for name in folders if not (folder(name) / "__init__.py").is_file()]

    assert sorted(DECLARED["packages"]) == sorted(folders)
    assert DECLARED["package-dir"] == {f"fairprint.{package}": package for package in PACKAGES}
    assert not without_docstring


def folder(package: str) -> Path:
    return ROOT.joinpath(*package.split(".")[1:])


def test_every_file_that_is_no_code_is_package_data_and_every_pattern_finds_one() -> None:
    patterns = [(folder(package), glob) for package, globs in DECLARED["package-data"].items() for glob in globs]
    found = {path for base, glob in patterns for path in base.glob(glob)}
    present = {
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }

    assert [f"{base.name}/{glob}" for base, glob in patterns if not any(base.glob(glob))] == []
    assert sorted(present - found) == []
    assert {path.suffix for path in found} >= {".yaml", ".html", ".typed"}


def test_no_file_names_a_place_of_one_machine() -> None:
    offenders = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            offenders += [f"{path.relative_to(ROOT)}:{number} {place}" for place in FOREIGN_PATHS if place in line]

    assert not offenders
