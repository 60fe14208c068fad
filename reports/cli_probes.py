"""The commands about probe sets; none of them needs a model, torch or numpy."""

import json
from typing import Annotated

import typer

from fairprint.reports import options as o

app = typer.Typer(help="List, read and check probe sets.", no_args_is_help=True)


@app.command("list")
def probes_list(as_json: o.Json = False) -> None:
    """List the probe sets that ship with fairprint."""
    from fairprint.probes.catalog import own_names, own_set
    from fairprint.reports.terminal import print_rows

    sets = [own_set(name) for name in own_names()]
    rows = [
        {
            "name": p.name,
            "language": p.language,
            "groups": ", ".join(group.label for group in p.groups),
            "templates": len(p.templates),
            "words": len(p.lexemes),
            "items": p.pairs,
            "sentences": p.sentences,
            "measures": p.measures,
        }
        for p in sets
    ]
    print_rows(rows, title="probe sets", as_json=as_json)


@app.command("show")
def probes_show(name: Annotated[str, typer.Argument(help="Name of a set, or a file.")]) -> None:
    """Show what a probe set asks, what it stands for, and what it cannot show."""
    from fairprint.probes.catalog import find_probe_set
    from fairprint.reports.terminal import show_probe_set

    show_probe_set(find_probe_set(name))


@app.command("validate")
def probes_validate(
    files: Annotated[list[str], typer.Argument(help="Probe files, or names of our own sets.")],
) -> None:
    """Check probe files: exit 0 where all can be used, 2 with file and line where one cannot."""
    from fairprint.probes.catalog import find_probe_set
    from fairprint.probes.labelled import IMAGES, TEXTS
    from fairprint.probes.review import remarks
    from fairprint.reports.text import clean

    for file in files:
        p = find_probe_set(file)
        if p.scored in (TEXTS, IMAGES):
            typer.echo(f"{file}: valid; {len(p.items):,} items of {len(p.templates):,} sources")
            for remark in remarks(p):
                typer.echo(f"  {clean(remark)}")
            continue
        several = f" x {len(p.comparisons)} comparisons" if len(p.comparisons) > 1 else ""
        typer.echo(
            f"{file}: valid; {p.pairs:,} items = {len(p.items) // len(p.lexemes)} templates x {len(p.lexemes)} words"
            f"{several}, {p.sentences:,} sentences"
        )
        for remark in remarks(p):
            typer.echo(f"  {clean(remark)}")


@app.command("schema")
def probes_schema(
    recorded: Annotated[bool, typer.Option("--recorded", help="Of a line of recorded answers instead.")] = False,
) -> None:
    """Print the JSON Schema of the probe file format."""
    if recorded:
        from fairprint.audit.recorded import json_schema
    else:
        from fairprint.probes.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))
