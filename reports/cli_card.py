"""The command that writes a model card's sections about bias, evaluation and climate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairprint.probes.errors import UsageError
from fairprint.reports import options as o

if TYPE_CHECKING:
    from fairprint.reports.card import Card
    from fairprint.reports.card_schema import Problem

EPILOG = (
    "Example: fairprint audit MODEL --report report.html; fairprint card latest --into README.md --report report.html; "
    "in CI: fairprint card --check --into README.md. "
    "After trainer.create_model_card(), which writes the card anew, run it again, or call "
    "fairprint.reports.card.update_card(path). "
    "Exit codes: 0 done, or the card is up to date; 1 under --check: the card is stale, was edited by hand, has no "
    "part of ours, or has metadata that the Hub would refuse or misread; 2 wrong usage, or a card that cannot be "
    "written safely: nothing is written; 3 a run cannot be read, or a file not written; 130 interrupted."
)
CardRunIds = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN]...",
        help="Audits of one model and its metered trainings: ids, their beginning or end where unique, or latest. "
        "Trainings that an audit names come along. Default: the runs that the card names, else the newest audit.",
    ),
]
Into = Annotated[
    Path,
    typer.Option("--into", metavar="FILE|FOLDER", help="The card; of a folder its README.md. Made where missing."),
]
CardReport = Annotated[
    str | None, typer.Option("--report", metavar="FILE|URL", help="The report that the card links to.")
]
ScopeOption = Annotated[
    str | None,
    typer.Option(
        "--scope",
        help="What co2_eq_emissions covers: final (the training), trials (all trials too) or audits (these too). "
        "Default: final. The text tells all.",
    ),
]
Named = Annotated[
    str | None, typer.Option("--name", help="Of the model in the metadata, such as OWNER/MODEL. Default: as audited.")
]
WhichModel = Annotated[
    str | None, typer.Option("--model", help="Name or sha256 of the model, where the runs are of several.")
]
AllowPartial = Annotated[
    bool | None,
    typer.Option(
        "--allow-partial/--no-allow-partial", help="Take runs that did not reach their end; the card says so."
    ),
]
Figures = Annotated[
    str | None,
    typer.Option(
        "--figures", metavar="FOLDER", help="Where the pictures lie, beside the card. Default: fairprint-card."
    ),
]
NoFigures = Annotated[bool, typer.Option("--no-figures", help="Draw none.")]
Check = Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 where the card is not up to date.")]
Diff = Annotated[bool, typer.Option("--diff", help="Write nothing; print what would change.")]
Remove = Annotated[bool, typer.Option("--remove", help="Take our parts and pictures out; what others wrote stays.")]
Force = Annotated[
    bool, typer.Option("--force", help="Write over parts of ours that were edited by hand, and over other emissions.")
]


def card(
    runs: CardRunIds = None,
    into: Into = Path("README.md"),
    store: o.Store = o.DEFAULT_STORE,
    check: Check = False,
    diff: Diff = False,
    remove: Remove = False,
    force: Force = False,
    report: CardReport = None,
    scope: ScopeOption = None,
    name: Named = None,
    model: WhichModel = None,
    allow_partial: AllowPartial = None,
    figures: Figures = None,
    no_figures: NoFigures = False,
    as_json: o.Json = False,
) -> None:
    """Write what stored runs say into a model card: bias, evaluation, climate, and the Hub's metadata.

    Written are "Bias, Risks, and Limitations" with Recommendations, "Evaluation", "Environmental Impact", model-index
    and co2_eq_emissions, each between marks of ours. What others wrote stays byte for byte, a second run changes
    nothing, and what was edited by hand between our marks stops it. The card remembers how it was made: without RUN and
    options it is made in the same way again. No model is loaded.
    """
    if remove:
        _remove(into, check=check, diff=diff, force=force, as_json=as_json)
        return
    if no_figures and figures:
        raise UsageError("--figures and --no-figures do not go together")
    from fairprint.reports.card import Asked, made_card
    from fairprint.reports.card_runs import SCOPES

    if scope is not None and scope not in SCOPES:
        raise UsageError(f"--scope is '{scope}': expected one of {', '.join(SCOPES)}")
    chosen = next((one for one in SCOPES if one == scope), None)
    asked = Asked(
        report=report,
        scope=chosen,
        name=name,
        model=model,
        allow_partial=allow_partial,
        figures="" if no_figures else figures,
    )
    made = made_card(into, runs or (), store, asked)
    if not (check or diff):
        made.write(force=force)
    found = _problems(made)
    _tell(made, found, check=check, diff=diff, force=force, as_json=as_json)
    if check and (made.state != "current" or any(problem.severity == "error" for problem in found)):
        raise typer.Exit(1)


def _problems(made: "Card") -> "list[Problem]":
    """Return what the Hub would refuse or misread in the metadata of the card as it stands now, whoever wrote it."""
    from fairprint.reports.card_file import read_card
    from fairprint.reports.card_schema import problems

    return problems(read_card(made.path), str(made.path))


def _tell(made: "Card", found: "list[Problem]", *, check: bool, diff: bool, force: bool, as_json: bool) -> None:
    from fairprint.reports.card_file import diff as difference
    from fairprint.reports.text import clean, safe_for_log

    if as_json:
        _print_json(_as_json(made, found, written=not (check or diff)))
        return
    for problem in found:
        place = f"{made.path}:{problem.line}" if problem.line else str(made.path)
        line = f"{problem.severity:7} {place}: {problem}" + (f" ({problem.hint})" if problem.hint else "")
        typer.echo(safe_for_log(clean(line)), err=True)
    if diff and (made.state != "hand-edited" or force):
        typer.echo(difference(made.before, made.after(force=force), str(made.path)), nl=False)
    told = {
        "current": "up to date",
        "stale": "stale: the runs or the pictures are newer",
        "hand-edited": "edited by hand between our marks",
        "absent": "has no part of ours",
    }
    if check or diff:
        typer.echo(f"card    {made.path}: {told[made.state]}", err=True)
        return
    typer.echo(f"card    {made.path}", err=True)
    if made.parts.emissions is None:
        typer.echo(f"note    no co2_eq_emissions: {made.parts.emissions_reason}", err=True)


def _as_json(made: "Card", found: "list[Problem]", *, written: bool) -> dict[str, Any]:
    emissions = made.parts.emissions
    return {
        "schema_version": 1,
        "card": str(made.path),
        "state": made.state,
        "written": written,
        "runs": [run.run_id for run in made.runs.every],
        "results": len(made.parts.results),
        "metrics": sum(len(result.metrics) for result in made.parts.results),
        "sections": [section.key for section in made.parts.sections],
        "emissions_g": None if emissions is None else emissions.emissions_g,
        "emissions_reason": made.parts.emissions_reason,
        "figures": [str(file) for file in made.files],
        "problems": [
            {"severity": one.severity, "line": one.line, "key": one.key, "message": one.message, "hint": one.hint}
            for one in found
        ],
    }


def _remove(into: Path, *, check: bool, diff: bool, force: bool, as_json: bool) -> None:
    from fairprint.reports.card import card_path, remove_card, write_removed
    from fairprint.reports.card_file import diff as difference

    before, after = remove_card(into, force=force)
    path = card_path(into)
    if not (check or diff):
        write_removed(into, before, after)
    if as_json:
        _print_json(
            {"schema_version": 1, "card": str(path), "removed": before != after, "written": not (check or diff)}
        )
    elif diff:
        typer.echo(difference(before, after, str(path)), nl=False)
    else:
        typer.echo(f"card    {path}: " + ("our parts are out" if before != after else "no part of ours"), err=True)
    if check and before != after:
        raise typer.Exit(1)


def _print_json(data: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False))
