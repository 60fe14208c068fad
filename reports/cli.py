"""The command line. Everything heavy is imported by the command that needs it, so that --help answers at once."""

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from fairprint.probes.errors import FairprintError
from fairprint.reports import (
    cli_audit,
    cli_card,
    cli_check,
    cli_compare,
    cli_estimate,
    cli_import,
    cli_ledger,
    cli_meter,
    cli_plan,
    cli_probes,
    cli_regimes,
    cli_runs,
    cli_topics,
)
from fairprint.reports import options as o

EXIT_CODES = (
    "Exit codes: 0 done; 2 wrong usage, nothing written; 3 the run failed, what was finished stays; 130 interrupted."
)


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Say how to go on where a command is interrupted; click alone would end without a word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            resume = "; what was finished stays: repeat the command with --resume to go on"
            typer.echo("interrupted" + (resume if ctx.invoked_subcommand == "audit" else ""), err=True)
            raise typer.Exit(130) from None


app = typer.Typer(
    name="fairprint",
    help="What does a transformers model assume about people, and what did it cost the climate?",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    cls=_Commands,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(epilog="Example: fairprint audit gpt2 --country-iso-code KOR --report report.html")(cli_audit.audit)
app.command(epilog=cli_meter.EPILOG, context_settings=cli_meter.CONTEXT)(cli_meter.meter)
app.command()(cli_runs.report)
app.command(epilog=cli_compare.EPILOG)(cli_compare.compare)
app.command(epilog=cli_plan.EPILOG)(cli_plan.plan)
app.command(epilog=cli_estimate.EPILOG)(cli_estimate.estimate)
app.command(epilog=cli_topics.EPILOG)(cli_topics.topics)
app.command(epilog=cli_regimes.EPILOG)(cli_regimes.regimes)
app.command(epilog=cli_ledger.EPILOG)(cli_ledger.ledger)
app.command(epilog=cli_check.EPILOG)(cli_check.check)
app.command(epilog=cli_card.EPILOG)(cli_card.card)
app.add_typer(cli_check.app, name="baseline")
app.add_typer(cli_probes.app, name="probes")
cli_runs.app.command("import", epilog=cli_import.EPILOG)(cli_import.runs_import)
app.add_typer(cli_runs.app, name="runs")


@app.command()
def doctor(
    model: o.DoctorModel = None,
    offline: o.Offline = False,
    trust_remote_code: o.TrustRemoteCode = False,
    as_json: o.Json = False,
) -> None:
    """Show versions, devices, sensors, what goes online; of a MODEL its kind, and what it can be asked."""
    if offline:
        cli_audit.go_offline()
    from fairprint.reports.doctor import about, findings
    from fairprint.reports.terminal import print_rows

    found = findings() if model is None else about(model, trust_remote_code=trust_remote_code)
    print_rows([{"what": what, "found": told} for what, told in found], title="fairprint doctor", as_json=as_json)


def main() -> None:
    """Run the command line; turn errors into one sentence, a way out and an exit code."""
    try:
        app(standalone_mode=True)
    except FairprintError as error:
        if "-v" in sys.argv or "--verbose" in sys.argv:
            import traceback

            traceback.print_exc()
        from fairprint.reports.text import clean, safe_for_log

        # a message quotes what people wrote, and the log of a CI reads commands
        typer.echo(safe_for_log(f"error: {clean(error.message)}"), err=True)
        if error.hint:
            typer.echo(safe_for_log(f"try:   {clean(error.hint)}"), err=True)
        sys.exit(error.exit_code)
