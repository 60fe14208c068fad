"""The commands about probe sets; none of them needs a model, torch or numpy."""

import json
from typing import Annotated

import typer

from fairprint.reports import options as o

app = typer.Typer(help="List, read and check probe sets.", no_args_is_help=True)


@app.command("list")
def probes_list(as_json: o.Json = False) -> None:
    """List the probe sets that ship with fairprint, and the formats that it reads published sets in."""
    from fairprint.reports.probe_sets import print_catalogue

    print_catalogue(as_json=as_json)


@app.command("show")
def probes_show(
    name: Annotated[str, typer.Argument(help="Name of a set, a file, or FORMAT:FILE for a published set.")],
    as_json: o.Json = False,
) -> None:
    """Show what a probe set asks, what it stands for, and what it cannot show."""
    from fairprint.probes.catalog import find_probe_set
    from fairprint.reports.probe_sets import show_probe_set

    show_probe_set(find_probe_set(name), as_json=as_json)


@app.command("validate")
def probes_validate(
    files: Annotated[
        list[str], typer.Argument(help="Probe files, FORMAT:FILE for published sets, or names of our own sets.")
    ],
    as_json: o.Json = False,
) -> None:
    """Check probe files: exit 0 where all can be used, 2 with file and line where one cannot."""
    from fairprint.reports.probe_sets import print_checked

    print_checked(files, as_json=as_json)


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
