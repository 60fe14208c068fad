"""The command that writes a model card's sections about bias, evaluation and climate."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairprint.probes.errors import UsageError
from fairprint.reports import options as o

if TYPE_CHECKING:
    from fairprint.reports.card import Card
    from fairprint.reports.card_runs import CardRuns
    from fairprint.reports.card_schema import Problem

EPILOG = (
    "Example: fairprint audit MODEL --report report.html; fairprint card latest --into README.md --report report.html; "
    "in CI: fairprint card --check --into README.md. "
    "for machines: fairprint card latest --into README.md --mlbom mlbom.cdx.json. "
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
Bom = Annotated[
    Path | None,
    typer.Option(
        "--mlbom",
        metavar="FILE",
        help="Write the same for machines too: a bill of materials (CycloneDX 1.6, ML-BOM), such as mlbom.cdx.json.",
    ),
]
Check = Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 where the card is not up to date.")]
Diff = Annotated[bool, typer.Option("--diff", help="Write nothing; print what would change.")]
Remove = Annotated[bool, typer.Option("--remove", help="Take our parts and pictures out; what others wrote stays.")]
Force = Annotated[
    bool, typer.Option("--force", help="Write over parts of ours that were edited by hand, and over other emissions.")
]


_BOM_STATES = {
    "current": "up to date",
    "stale": "stale: the runs are newer",
    "foreign": "is no bill of materials of ours",
    "absent": "is not there",
}


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
    mlbom: Bom = None,
    as_json: o.Json = False,
) -> None:
    """Write what stored runs say into a model card: bias, evaluation, climate, and the Hub's metadata.

    Written are "Bias, Risks, and Limitations" with Recommendations, "Evaluation", "Environmental Impact", model-index
    and co2_eq_emissions, each between marks of ours. What others wrote stays byte for byte, a second run changes
    nothing, and what was edited by hand between our marks stops it. The card remembers how it was made: without RUN and
    options it is made in the same way again. No model is loaded.
    """
    if remove:
        if mlbom is not None:
            raise UsageError("--remove and --mlbom do not go together", hint="delete the file")
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
    bom = None if mlbom is None else _bom(made, mlbom, unsafe=force or check or diff)
    if not (check or diff):
        made.write(force=force)
        if bom is not None:
            bom.write()
    found = _problems(made)
    _tell(made, found, bom, check=check, diff=diff, force=force, as_json=as_json)
    current = made.state == "current" and (bom is None or bom.state == "current")
    if check and not (current and all(problem.severity != "error" for problem in found)):
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bom:
    """A bill of materials as it is (``state``, see `fairprint.reports.mlbom.bom_state`) and as it would be."""

    path: Path
    runs: "CardRuns"
    state: str

    def write(self) -> None:
        from fairprint.reports.mlbom import write_ml_bom

        write_ml_bom(self.path, self.runs, force=True)


def _bom(made: "Card", path: Path, *, unsafe: bool) -> _Bom:
    """Return a bill of materials; refuse to write over what is none of ours, before anything is written."""
    from fairprint.reports.mlbom import bom_state, check_ours

    if path.resolve() == made.path.resolve():
        raise UsageError(f"--mlbom and --into both name {path}", hint="--mlbom mlbom.cdx.json")
    runs = made.seen_from(path)
    state = bom_state(path, runs)
    if not unsafe:
        check_ours(path, state)
    return _Bom(path=path, runs=runs, state=state)


def _problems(made: "Card") -> "list[Problem]":
    """Return what the Hub would refuse or misread in the metadata of the card as it stands now, whoever wrote it."""
    from fairprint.reports.card_file import read_card
    from fairprint.reports.card_schema import problems

    return problems(read_card(made.path), str(made.path))


def _tell(
    made: "Card",
    found: "list[Problem]",
    bom: _Bom | None,
    *,
    check: bool,
    diff: bool,
    force: bool,
    as_json: bool,
) -> None:
    from fairprint.reports.card_file import diff as difference
    from fairprint.reports.text import clean, safe_for_log

    if as_json:
        _print_json(_as_json(made, found, bom, written=not (check or diff)))
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
        if bom is not None:
            typer.echo(f"mlbom   {bom.path}: {_BOM_STATES[bom.state]}", err=True)
        return
    typer.echo(f"card    {made.path}", err=True)
    if bom is not None:
        typer.echo(f"mlbom   {bom.path}", err=True)
    if made.parts.emissions is None:
        typer.echo(f"note    no co2_eq_emissions: {made.parts.emissions_reason}", err=True)


def _as_json(made: "Card", found: "list[Problem]", bom: _Bom | None, *, written: bool) -> dict[str, Any]:
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
        "mlbom": None if bom is None else {"path": str(bom.path), "state": bom.state},
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
