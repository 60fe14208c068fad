"""A bill of materials of a model (CycloneDX 1.6, ML-BOM) from stored records: what was measured, for machines to read.

Written as plain JSON, since the Python library of CycloneDX has no model cards. The same records give the same bytes.
Fields: https://cyclonedx.org/docs/1.6/json/ (components, modelCard).
"""

import json
import re
import uuid
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fairprint.audit.files import write_whole
from fairprint.audit.records import ModelInfo, ProbeInfo
from fairprint.probes.errors import StoreError, UsageError
from fairprint.reports import mlbom_energy, mlbom_metrics, mlbom_words
from fairprint.reports.card_environment import environment_of
from fairprint.reports.card_results import task_of
from fairprint.reports.card_runs import CardRuns
from fairprint.reports.mlbom_parts import Property, address, filled, hashes, prop, text

SPEC_VERSION = "1.6"
_MODEL = "model"
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://pypi.org/project/fairprint/")
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LABELS = "probabilities of labels"
_FORMATS = {
    "causal": ("string", "string"),
    "masked": ("string", "string"),
    "seq2seq": ("string", "string"),
    "translation": ("string", "string"),
    "classifier": ("string", _LABELS),
    "image-classifier": ("image", _LABELS),
    "encoder": ("string", "vector"),
}
"""What goes into a model of a kind, and what comes out."""


def ml_bom(runs: CardRuns) -> dict[str, Any]:
    """Return the bill of materials of a model.

    Numbers and intervals stand in the quantitative analysis, findings in the fairness assessments, energy and emissions
    in the environmental considerations; what the schema has no field for stands in properties beside. Licence, users
    and uses of a model are not known to a run record, and are left out. The serial number comes from the content, which
    holds the hashes of the records, and the time is that at which the newest run ended.

    Args:
        runs: audits of one model and its metered trainings, see `fairprint.reports.card_runs.card_runs`.
    """
    when = _newest(runs)
    told = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": filled(
            timestamp=when,
            tools={"components": [{"type": "application", "name": "fairprint", "version": version("fairprint")}]},
            properties=[] if when else [prop("timestamp", "no run says when it ended")],
        ),
        "components": [_model(runs), *(_probe_set(probe) for probe in _asked(runs))],
    }
    return {**told, "serialNumber": uuid.uuid5(_SPACE, as_json(told)).urn}


def as_json(bom: dict[str, Any]) -> str:
    """Return a bill of materials as sorted JSON that ends in a line break."""
    return json.dumps(bom, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def bom_state(path: Path, runs: CardRuns) -> str:
    """Return what stands in a file: ``absent``, ``current``, ``stale``, or ``foreign``, which others made.

    Raises:
        StoreError: the file cannot be read.
    """
    try:
        there = path.read_bytes()
    except FileNotFoundError:
        return "absent"
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None
    if there == as_json(ml_bom(runs)).encode():
        return "current"
    return "stale" if _is_ours(there) else "foreign"


def check_ours(path: Path, state: str) -> None:
    """Refuse to write over a file of others.

    Raises:
        UsageError: it is one.
    """
    if state == "foreign":
        raise UsageError(f"{path} is no bill of materials of fairprint", hint="name another file, or say --force")


def _is_ours(content: bytes) -> bool:
    try:
        told = json.loads(content)
        tools = [tool["name"] for tool in told["metadata"]["tools"]["components"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return tools == ["fairprint"]


def write_ml_bom(path: Path, runs: CardRuns, *, force: bool = False) -> None:
    """Write a bill of materials, whole or not at all; a newer one takes the place of an older one.

    Args:
        path: the file.
        runs: see `ml_bom`.
        force: write over a file that is no bill of ours.

    Raises:
        UsageError: a file of others stands there.
        StoreError: the file cannot be read or written.
    """
    if not force:
        check_ours(path, bom_state(path, runs))
    try:
        write_whole(path, as_json(ml_bom(runs)))
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from None


def _newest(runs: CardRuns) -> str | None:
    """Return when the newest run ended, as the schema has it; None where no record says."""
    ends = []
    for run in runs.every:
        try:
            end = datetime.fromisoformat(run.finished_at)
        except ValueError:
            continue
        ends.append(end.replace(tzinfo=UTC) if end.tzinfo is None else end.astimezone(UTC))
    return max(ends).strftime("%Y-%m-%dT%H:%M:%SZ") if ends else None


# the model


def _model(runs: CardRuns) -> dict[str, Any]:
    model = runs.model
    return filled(
        type="machine-learning-model",
        bom_ref=_MODEL,
        name=text(runs.model_name).strip() or "a model without a name",
        version=text(model.revision or "") if model is not None and _as_published(model) else "",
        description=_description(runs),
        purl=_package(model) if model is not None else "",
        hashes=hashes(model.sha256) if model is not None and _hashed(model) else [],
        externalReferences=_references(runs),
        modelCard=_card(runs),
        properties=_facts(model) if model is not None else [prop("model", "not audited: only its training is known")],
    )


def _description(runs: CardRuns) -> str:
    audits, metered = len(runs.audits), len(runs.metered)
    return (
        f"Measured by {audits} audit{'s' * (audits != 1)} and {metered} metered run{'s' * (metered != 1)} of fairprint."
    )


def _package(model: ModelInfo) -> str:
    """Return the package URL of a model of the Hub whose commit is known."""
    name = model.name.partition("@")[0]
    if not _as_published(model) or not _HUB_NAME.fullmatch(name) or not _COMMIT.fullmatch(model.revision or ""):
        return ""
    return f"pkg:huggingface/{name}@{model.revision}"


def _as_published(model: ModelInfo) -> bool:
    """Say whether a commit is that of the weights: an adapter, or a model in memory, may only have begun from it."""
    return _hashed(model) and model.weights.lower().startswith(("as stored", "gguf"))


def _hashed(model: ModelInfo) -> bool:
    """Say whether a hash is of the model itself, and not of an address or of recorded answers."""
    return model.parameters is not None and model.kind != "recorded"


def _references(runs: CardRuns) -> list[dict[str, str]]:
    report = address(runs.report)
    return [{"type": "quality-metrics", "url": report, "comment": "report of fairprint"}] if report else []


def _facts(model: ModelInfo) -> list[Property]:
    of = "config, tokenizer and weights" if _hashed(model) else "what stands for the model: its weights were not seen"
    facts = {
        "model:audited as": model.name,
        "model:sha256": model.sha256,
        "model:sha256 is of": of,
        "model:kind": model.kind,
        "model:weights": model.weights,
        "model:dtype": model.dtype,
        "model:parameters": "not known" if model.parameters is None else model.parameters,
        "model:revision": model.revision or "not known: no commit of the Hub is recorded",
    }
    return [prop(key, value) for key, value in sorted(facts.items())]


def _card(runs: CardRuns) -> dict[str, Any]:
    analysis, beside = mlbom_metrics.analysis(runs)
    return filled(
        modelParameters=_parameters(runs),
        quantitativeAnalysis=analysis,
        considerations=filled(
            technicalLimitations=mlbom_words.limitations(runs),
            fairnessAssessments=mlbom_words.fairness(runs),
            environmentalConsiderations=mlbom_energy.considerations(runs),
        ),
        properties=[*_about_runs(runs), *beside],
    )


def _parameters(runs: CardRuns) -> dict[str, Any]:
    model = runs.model
    if model is None:
        return {}
    goes_in, comes_out = _FORMATS.get(model.kind, ("", ""))
    return filled(
        task=task_of(runs)[0] if model.kind in _FORMATS else "",
        architectureFamily=text(model.model_type),
        modelArchitecture=text(model.architecture),
        datasets=[{"ref": _ref(probe)} for probe in _asked(runs)],
        inputs=[{"format": goes_in}] if goes_in else [],
        outputs=[{"format": comes_out}] if comes_out else [],
    )


def _about_runs(runs: CardRuns) -> list[Property]:
    told = [
        prop(
            "run",
            {
                "run": text(run.run_id),
                "kind": run.kind,
                "sha256": runs.digests.get(run.run_id, "not known"),
                "status": run.status,
                "began": text(run.started_at),
                "ended": text(run.finished_at),
                "fairprint": text(environment_of(run).fairprint),
            },
        )
        for run in runs.every
    ]
    if runs.audits:
        told.append(
            prop("modelParameters.datasets", "probe sets that the model was asked; its training data: not known")
        )
    return told


# what it was asked


def _asked(runs: CardRuns) -> list[ProbeInfo]:
    """Return each probe set once; of two versions of one both."""
    return list({_ref(probe): probe for audit in runs.audits for probe in audit.probes}.values())


def _ref(probe: ProbeInfo) -> str:
    return f"probes:{text(probe.name)}@{probe.version}:{text(probe.sha256)}"


def _probe_set(probe: ProbeInfo) -> dict[str, Any]:
    facts = {
        "probes:language": probe.language,
        "probes:measures": probe.measures,
        "probes:harm type": probe.harm_type,
        "probes:items asked": probe.items,
        "probes:items of the set": probe.items_in_set,
        "probes:groups": "; ".join(probe.labels.values()),
        "probes:source": probe.source,
    }
    beside = [prop(key, value) for key, value in sorted(facts.items())]
    beside += [prop("probes:from", source) for source in probe.sources]
    beside += [prop("probes:criticism", criticism) for criticism in probe.criticism]
    name = text(probe.name).strip() or "a set without a name"
    return filled(
        type="data",
        bom_ref=_ref(probe),
        name=name,
        version=str(probe.version),
        description=text(probe.summary),
        hashes=hashes(probe.sha256),
        licenses=[{"license": {"name": text(probe.licence)}}] if probe.licence.strip() else [],
        data=[filled(type="dataset", name=name, description=text(probe.title))],
        properties=beside,
    )
