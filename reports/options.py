"""Arguments and options of the command line, each with the sentence that --help shows."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_STORE = Path("fairprint-runs")

Models = Annotated[
    list[str],
    typer.Argument(
        help="Hub id with optional @REVISION, a folder, a .gguf file, package:NAME for a model inside an installed "
        "Python package, recorded:FILE for recorded answers, or openai:MODEL@URL for a model behind a server (its key "
        "in the variable OPENAI_API_KEY); several are audited one after the other.",
    ),
]
DoctorModel = Annotated[str | None, typer.Argument(help="A model as audit takes it; no weights are loaded.")]
Probes = Annotated[
    list[str] | None,
    typer.Option(
        "--probes",
        metavar="NAME|FILE",
        help="Probe set by NAME or FILE, or FORMAT:FILE for published benchmarks (crows-pairs, stereoset, bbq ...; "
        "fairprint probes list names all) and labelled texts or images; repeat for several. Default: all of our own "
        "sets that fit the model.",
    ),
]
Languages = Annotated[
    list[str] | None,
    typer.Option(
        "--language",
        metavar="CODE",
        help="Language of our own sets, such as ko; repeat for several. Default: as the model's card says, else en.",
    ),
]
Instruments = Annotated[
    list[str] | None,
    typer.Option(
        "--instrument",
        metavar="NAME",
        help="How to ask: fill, after-group, sentence, classify ...; repeat for several. Default: what suits each set.",
    ),
]
Store = Annotated[Path, typer.Option("--store", help="Folder of runs; made if missing.", envvar="FAIRPRINT_STORE")]
Report = Annotated[Path | None, typer.Option("--report", help="Write the HTML report here as well.")]
Country = Annotated[
    str | None,
    typer.Option(
        "--country-iso-code",
        help="Where the electricity comes from, such as KOR. Without it emissions are an interval over the world.",
        envvar="FAIRPRINT_COUNTRY_ISO_CODE",
    ),
]
Pue = Annotated[float | None, typer.Option("--pue", help="Power usage effectiveness of the data centre, 1 or more.")]
Seed = Annotated[int, typer.Option("--seed", help="Recorded, and the seed of whatever is sampled.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps.")]
Dtype = Annotated[str, typer.Option("--dtype", help="float32, bfloat16 or float16.")]
Limit = Annotated[
    int | None,
    typer.Option("--limit", help="Items of each set at the most, in whole templates; the run is marked partial."),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size", min=1, help="Sentences of a batch at the most; of a server, requests at once (default 8)."
    ),
]
RequestsPerSecond = Annotated[
    float | None, typer.Option("--requests-per-second", help="Of a server, at the most. Default: no limit.")
]
RequestTimeout = Annotated[
    float | None, typer.Option("--request-timeout", help="Seconds for one request to a server. Default: 60.")
]
Scorer = Annotated[
    str | None,
    typer.Option(
        "--scorer",
        metavar="MODEL[#LABEL]",
        help="A text classifier that judges what the model writes (bold:PATH, honest:FILE), such as one for toxicity; "
        "with #LABEL only that label of it.",
    ),
]
Lexicon = Annotated[
    Path | None,
    typer.Option(
        "--lexicon",
        metavar="FILE",
        help="A .tsv or .csv file of words that what the model writes is searched for: columns lemma, category and "
        "level; where it has levels, only the rows of the level conservative are taken, as of HurtLex.",
    ),
]
Record = Annotated[
    Path | None,
    typer.Option("--record", help="Also write the answers to this new file; recorded:FILE replays them."),
]
Lineage = Annotated[
    list[str] | None,
    typer.Option(
        "--lineage",
        metavar="RUN",
        help="A stored run that the model came from, such as its metered training; repeat for several. A card, a "
        "report and fairprint regimes then join what it assumes with what it cost.",
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the newest unfinished run of this model in the store.")
]
Offline = Annotated[bool, typer.Option("--offline", help="Never ask a model hub; use its local cache only.")]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run code that comes with the model; recorded.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be asked; load no model, write nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no closing table.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show where an error comes from.")]
CommandLine = Annotated[
    list[str], typer.Argument(metavar="[--] COMMAND", help="The program to run, and its arguments.")
]
MeteredName = Annotated[
    str | None, typer.Option("--name", help="Of the run. Default: the program, or the script that Python runs.")
]
Purpose = Annotated[
    str | None,
    typer.Option(
        "--purpose",
        help="What the training is for: pretraining, training from scratch, fine-tuning, search, evaluation or other; "
        "fairprint ledger adds up by it.",
    ),
]
Task = Annotated[str, typer.Option("--task", help="What is learnt; runs of one task are compared with one another.")]
Region = Annotated[
    str | None, typer.Option("--region", help="A US state or a Canadian province; with its --country-iso-code.")
]
CloudRegion = Annotated[
    str | None,
    typer.Option("--cloud-region", help="provider:region, such as gcp:europe-north1; instead of a country."),
]
KgPerKwh = Annotated[
    float | None,
    typer.Option("--kg-per-kwh", help="A grid factor of one's own in kg CO2e per kWh, taken as exact."),
]
Wue = Annotated[float | None, typer.Option("--wue", help="Water usage effectiveness of the data centre in l/kWh.")]
Interval = Annotated[
    float, typer.Option("--interval", help="Seconds between two samples: the most that a power cut can lose.")
]
BudgetKwh = Annotated[
    float | None,
    typer.Option(
        "--budget-kwh", help="Energy after which the command gets SIGTERM, once, so that it can save and stop."
    ),
]
BudgetKg = Annotated[
    float | None, typer.Option("--budget-kg", help="The same in kg CO2e; needs the place. One of the two.")
]
WarnShare = Annotated[float, typer.Option("--warn-share", help="Share of the budget from which on a warning is given.")]
Grace = Annotated[
    float,
    typer.Option(
        "--grace", help="Seconds after which a command that goes on beyond its budget is told of, not killed."
    ),
]
MeteredRecordFile = Annotated[
    Path | None, typer.Option("--record", help="Also write the record of the run to this JSON file.")
]
MeteredRuns = Annotated[
    list[str] | None, typer.Argument(help="Run ids as for show. Default: all of the store that were cut off.")
]
OtherCountry = Annotated[
    str | None, typer.Option("--country-iso-code", help="Where the electricity comes from, such as FRA.")
]
Run = Annotated[str, typer.Argument(help="Run id, its beginning or end where unique, or latest.")]
