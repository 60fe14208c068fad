"""The commands that hold a run against its limits, and that write the baseline for it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairprint.probes.errors import StoreError, UsageError
from fairprint.reports import options as o
from fairprint.reports.cli_runs import check_output

if TYPE_CHECKING:
    from fairprint.audit.checks import CheckRecord

EPILOG = (
    "Limits stand in [tool.fairprint] of pyproject.toml, or in fairprint.toml; --schema shows all keys. "
    "Example: fairprint audit MODEL; fairprint baseline update --reason 'first release'; after a change of the model: "
    "fairprint audit MODEL; fairprint check --junit fairprint.xml. "
    "Exit codes: 0 all limits pass, or are inconclusive; 1 a limit fails; 2 wrong usage or settings; 3 a limit could "
    "not be evaluated, or a run cannot be read; 4 the baseline cannot be compared, or is missing where it is required; "
    "5 inconclusive under --strict; 130 interrupted. Of several it is the first of 2, 3, 4, 1, 5, 0."
)
BASELINE_EPILOG = (
    "Example: fairprint baseline update latest --reason 'new tokenizer, reviewed by Ada'; git add "
    "fairprint-baseline.json. Exit codes: 0 written; 2 wrong usage; 3 the run cannot be read, or the file not written."
)
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings file. Default: fairprint.toml, or pyproject.toml with [tool.fairprint], from here upwards.",
        envvar="FAIRPRINT_CONFIG",
    ),
]
BaselineFile = Annotated[
    Path | None,
    typer.Option(
        "--baseline",
        metavar="FILE",
        help="Default: as the settings say, else fairprint-baseline.json.",
        envvar="FAIRPRINT_BASELINE",
    ),
]
StoreOr = Annotated[
    Path | None,
    typer.Option("--store", help="Folder of runs. Default: as the settings say.", envvar="FAIRPRINT_STORE"),
]
LatestRun = Annotated[str, typer.Argument(help="Run id, its beginning or end where unique, or latest.")]
AllowPartial = Annotated[
    bool | None,
    typer.Option(
        "--allow-partial/--no-allow-partial",
        help="Judge a run that asked only a part of the questions.",
        envvar="FAIRPRINT_ALLOW_PARTIAL",
    ),
]
Strict = Annotated[
    bool | None,
    typer.Option("--strict/--no-strict", help="Inconclusive limits stop with 5.", envvar="FAIRPRINT_STRICT"),
]
RequireBaseline = Annotated[
    bool | None,
    typer.Option(
        "--require-baseline/--no-require-baseline",
        help="A missing baseline stops with 4.",
        envvar="FAIRPRINT_REQUIRE_BASELINE",
    ),
]
Junit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Also write the verdicts as JUnit XML.")]
Candidate = Annotated[
    Path | None,
    typer.Option(
        "--write-candidate", metavar="FILE", help="Where there is no baseline, write here what could become it."
    ),
]
GitHub = Annotated[
    bool,
    typer.Option(
        "--github/--no-github",
        help="Print annotations, and write the step summary and outputs. Default: where GITHUB_ACTIONS is set.",
        envvar="GITHUB_ACTIONS",
    ),
]
ConfigOnly = Annotated[bool, typer.Option("--config-only", help="Only read the settings, and say what is wrong.")]
Schema = Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of the settings, and end.")]


def check(
    run: LatestRun = "latest",
    config: Config = None,
    baseline: BaselineFile = None,
    store: StoreOr = None,
    strict: Strict = None,
    require_baseline: RequireBaseline = None,
    allow_partial: AllowPartial = None,
    junit: Junit = None,
    write_candidate: Candidate = None,
    github: GitHub = False,
    config_only: ConfigOnly = False,
    schema: Schema = False,
    as_json: o.Json = False,
) -> None:
    """Hold a stored run against its limits: has the model become worse, and can the data tell?

    Each limit passes, fails, is inconclusive (the data can neither show that it is kept nor that it is broken), or is
    in error. A limit on a worsening is judged on the same items as the baseline's, pair by pair; a limit fails only
    where the worsening is both larger than its margin and no chance. No model is loaded.
    """
    if schema:
        _print_json(_schema())
        return
    for file in filter(None, (junit, write_candidate)):
        check_output(file)
    if config_only:
        _check_settings(config)
        return
    from fairprint.audit.gate import check_run

    record = check_run(
        run,
        config=config,
        baseline=baseline,
        store=store,
        strict=strict,
        require_baseline=require_baseline,
        allow_partial=allow_partial,
    )
    if junit is not None:
        from fairprint.reports.junit import to_junit

        _write(junit, to_junit(record))
    if write_candidate is not None and record.baseline is None:
        _candidate(write_candidate, record.run.run_id, config, store)
    _show(record, github=github, as_json=as_json)
    raise typer.Exit(record.exit_code)


def _show(record: "CheckRecord", *, github: bool, as_json: bool) -> None:
    # GitHub reads commands from the log, whether or not it was asked to be told
    in_log = github or bool(os.environ.get("GITHUB_ACTIONS"))
    if as_json:
        from fairprint.audit.records import to_json
        from fairprint.reports.text import json_for_log

        typer.echo(json_for_log(to_json(record)) if in_log else to_json(record), nl=False)
    else:
        from fairprint.reports.check_table import print_check

        print_check(record, in_log=in_log)
    if github:
        from fairprint.reports.github import annotations, publish

        publish(record, os.environ)
        for line in annotations(record):
            # commands are read from both; where stdout is JSON, it stays JSON
            typer.echo(line, err=as_json)


def _schema() -> dict[str, Any]:
    from fairprint.audit.settings import json_schema

    return json_schema()


def _print_json(data: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False))


def _check_settings(config: Path | None) -> None:
    from fairprint.audit.rules import names
    from fairprint.audit.settings import read_settings
    from fairprint.reports.text import clean, safe_for_log

    found = read_settings(config, Path.cwd())
    if not found.file:
        raise UsageError(
            "there is no fairprint.toml here, and no pyproject.toml with [tool.fairprint]",
            hint="fairprint check --schema shows what such a file holds",
        )
    told = [name for limit in found.settings.limits for name in names(limit).values()]
    lines = (f"{found.file}: {len(told)} limits", *(f"  {name}" for name in told))
    typer.echo(safe_for_log("\n".join(clean(line) for line in lines)))


def _write(path: Path, text: str) -> None:
    from fairprint.audit.files import write_whole

    try:
        write_whole(path, text)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from None


def _candidate(path: Path, run_id: str, config: Path | None, store: Path | None) -> None:
    from fairprint.audit.gate_baseline import update_baseline

    update_baseline(run_id, "candidate: no one has reviewed it", config=config, baseline=path, store=store)


app = typer.Typer(help="The run that later ones are held against.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _baseline() -> None:
    """The run that later ones are held against: one file that is reviewed and kept in git."""


@app.command(epilog=BASELINE_EPILOG)
def update(
    run: LatestRun = "latest",
    reason: Annotated[str, typer.Option("--reason", help="Why, for those who review it. It is kept in the file.")] = "",
    config: Config = None,
    baseline: BaselineFile = None,
    store: StoreOr = None,
    allow_partial: AllowPartial = None,
    as_json: o.Json = False,
) -> None:
    """Make a run the baseline: its numbers, and every answer to the probe sets that limits name.

    The file is small, sorted and made for git: commit it, and a pull request shows what has changed and why. Only the
    sets that limits on a worsening name are kept; without limits, all.
    """
    from fairprint.audit.gate_baseline import update_baseline
    from fairprint.reports.baseline_table import print_update, update_rows

    before, after, path = update_baseline(
        run, reason, config=config, baseline=baseline, store=store, allow_partial=allow_partial
    )
    if as_json:
        _print_json(
            {"schema_version": 1, "file": str(path), "run": after.run.run_id, "changes": update_rows(before, after)}
        )
    else:
        print_update(before, after, path)
