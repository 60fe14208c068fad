"""Where the model lies that a user names: a hub id, a folder, a GGUF file, or inside an installed package."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from fairprint.audit.languages import codes_of
from fairprint.probes.errors import UsageError, nearest

DTYPES = ("float32", "bfloat16", "float16")
_HUB_ID = re.compile(r"^[\w.-]+(/[\w.-]+)?(@[\w./-]+)?$")
_LONGEST_NAME = 200
"""Characters of a hub id with a revision at the most; an id alone has at most 96."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a model lies.

    Attributes:
        name: how it is called in records: no machine's folders.
        location: folder or hub id for transformers.
        gguf_file: name of the GGUF file in the folder, or None.
        revision: of a hub id, or None.
        adapter: folder of the adapter that changes the model at ``location``, or None.
        recorded: where it is a file of recorded answers, the name of its format.
        endpoint: where a server answers for it, the address of the server.
    """

    name: str
    location: str
    gguf_file: str | None = None
    revision: str | None = None
    adapter: str | None = None
    recorded: str | None = None
    endpoint: str | None = None

    @property
    def is_hub_id(self) -> bool:
        """Whether the model has to come from a hub or its cache."""
        return self.endpoint is None and not Path(self.location).exists()


def find_model(given: str) -> Source:
    """Return where the model lies that a user names, without loading anything.

    Raises:
        UsageError: there is no such path, package or possible hub id, or it could be several.
    """
    if given.startswith("package:"):
        return _in_package(given)
    if given.startswith("recorded:"):
        return _recorded(given.removeprefix("recorded:"))
    if given.startswith("openai:"):
        return _behind_a_server(given)
    path = Path(given)
    is_folder, is_file = (given and _holds(check, path) for check in (Path.is_dir, Path.is_file))
    if path.suffix == ".gguf":
        if not is_file:
            raise UsageError(f"{given}: no such file")
        return Source(name=path.name, location=str(path.parent), gguf_file=path.name)
    if is_folder and (path / "adapter_config.json").is_file():
        return _adapted(path)
    if is_folder:
        return Source(name=path.resolve().name, location=str(path))
    if is_file:
        raise UsageError(f"{given} is a file; a model is a folder, a .gguf file, package:NAME or a hub id")
    if given.startswith((".", "/", "~")) or len(given) > _LONGEST_NAME or not _HUB_ID.match(given):
        raise UsageError(
            f"{given}: no such folder, and no hub id either", hint="a hub id is NAME or OWNER/NAME[@REVISION]"
        )
    location, _, revision = given.partition("@")
    return Source(name=given, location=location, revision=revision or None)


def _behind_a_server(given: str) -> Source:
    """Return which server to ask for which model: ``openai:MODEL@URL``.

    An address that holds a name, a password or parameters is refused without being shown, since records, which people
    publish, name the address.
    """
    model, _, rest = given.removeprefix("openai:").partition("@http")
    url = f"http{rest}".rstrip("/")
    hint = "openai:MODEL@http://127.0.0.1:8000/v1, with the key, if any, in the variable OPENAI_API_KEY"
    try:
        parts = urlsplit(url)
        secret = "@" in parts.netloc or parts.query or parts.fragment or "?" in url
        found = model and parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        secret, found = "@" in url or "?" in url, None
    if secret:
        raise UsageError("the address of the server holds more than host and path, which records would show", hint=hint)
    if not found or not given.isprintable() or any(character.isspace() for character in url):
        # not shown either: a password may stand where no rule above looks for it
        raise UsageError("what follows openai: names no model behind a server", hint=hint)
    return Source(name=f"openai:{model}@{url}", location=model, endpoint=url)


def _adapted(folder: Path) -> Source:
    """Return the base model that an adapter's folder names, as it lies here, beside the adapter, or on a hub."""
    if any(folder.glob("model*.safetensors")) or any(folder.glob("pytorch_model*.bin")):
        # with peft installed, transformers would load both; without it, the model alone
        raise UsageError(f"{folder} holds a model and an adapter", hint="give each a folder of its own")
    try:
        said = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder / 'adapter_config.json'} cannot be read: {error}") from None
    base = said.get("base_model_name_or_path") if isinstance(said, dict) else None
    if not isinstance(base, str) or not base:
        hint = "write its folder or hub id there as base_model_name_or_path"
        raise UsageError(f"{folder / 'adapter_config.json'} names no base model", hint=hint)
    places = [str(place) for place in (Path(base), folder / base) if _holds(Path.is_dir, place)]
    if not places and (len(base) > _LONGEST_NAME or not _HUB_ID.match(base) or base.startswith((".", "/", "~"))):
        raise UsageError(f"the base model {base} of the adapter {folder} is not here")
    revision = said.get("revision") if not places and isinstance(said.get("revision"), str) else None
    name = folder.resolve().name
    return Source(name=name, location=next(iter(places), base), revision=revision, adapter=str(folder))


def _recorded(given: str) -> Source:
    """Return where recorded answers lie: ``FILE``, or ``FORMAT:FILE`` for a format that others publish."""
    form, separator, file = given.partition(":")
    if not separator or _holds(Path.is_file, Path(given)):
        form, file = "rows", given
    if not _holds(Path.is_file, Path(file)):
        raise UsageError(f"recorded:{given}: no such file")
    return Source(name=Path(file).name, location=file, recorded=form)


def _holds(check: Callable[[Path], bool], path: Path) -> bool:
    """Ask the file system; a name that no file can have is the name of no file."""
    try:
        return check(path)
    except (OSError, ValueError):
        return False


def languages_of(source: Source) -> tuple[str, ...]:
    """Return the languages that the model's card names (``language`` in the front matter of README.md), if any.

    A hub model's card is read from the cache or the hub; where there is none, or it says nothing, the result is empty.
    """
    import yaml

    try:
        card = text_of(source, "README.md")
        front = re.match(r"\ufeff?---\s*\n(.*?)\n---\s*(\n|$)", card, re.DOTALL)
        # every scalar as text: YAML 1.1 reads the code of Norwegian as false
        said = yaml.load(front.group(1), Loader=yaml.BaseLoader) if front else None
    except (OSError, ValueError, yaml.YAMLError):
        return ()
    named = said.get("language") if isinstance(said, dict) else None
    found = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    return tuple(code for code in found if isinstance(code, str) and re.fullmatch(r"[a-z]{2,3}", code))


def target_language(source: Source) -> str | None:
    """Return the language into which a model translates, of two letters, where its tokenizer's settings name one."""
    try:
        told = json.loads(text_of(source, "tokenizer_config.json"))
    except (OSError, ValueError):
        return None
    named = told.get("target_lang") if isinstance(told, dict) else None
    return next((code for code in codes_of(named) if len(code) == 2), None) if isinstance(named, str) else None


def text_of(source: Source, name: str) -> str:
    """Return a text file of a model; "" of one behind a server. Raises OSError or ValueError where there is none."""
    if source.endpoint is not None:
        return ""
    if source.is_hub_id:
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(source.location, name, revision=source.revision)).read_text(encoding="utf-8")
    return (Path(source.location) / name).read_text(encoding="utf-8")


def _in_package(given: str) -> Source:
    name = given.removeprefix("package:")
    # find_spec of a dotted name would import the parent, and with it whatever the package does on import
    spec = find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(f"no installed package '{name}'", hint=f"pip install {name or 'NAME'}")
    roots = [Path(root) for root in spec.submodule_search_locations]
    files = {file: file.relative_to(root) for root in roots for file in sorted(root.rglob("*"))}
    folders = {
        file.parent: inside.parent
        for file, inside in files.items()
        if file.name == "config.json" and _has_model_type(file)
    }
    least = min((len(inside.parts) for inside in folders.values()), default=0)
    shallowest = {folder: inside for folder, inside in folders.items() if len(inside.parts) == least}
    found = shallowest or {file: inside for file, inside in files.items() if file.suffix == ".gguf"}
    if not found:
        raise UsageError(f"the package '{name}' holds no model: no config.json with a model_type, and no .gguf file")
    if len(found) > 1:
        told = ", ".join(map(str, found.values()))
        raise UsageError(f"the package '{name}' holds several models: {told}", hint="give the path of one")
    (path,) = found
    if path.suffix == ".gguf":
        return Source(name=given, location=str(path.parent), gguf_file=path.name)
    return Source(name=given, location=str(path))


def _has_model_type(file: Path) -> bool:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and isinstance(content.get("model_type"), str)


def check_device(given: str) -> str:
    """Return the device to use; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        UsageError: there is no such device here.
    """
    import torch

    mps = torch.backends.mps.is_available()
    if given == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    here = ["cpu", *(["mps"] if mps else []), *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if given not in here and not (given == "cuda" and torch.cuda.is_available()):
        raise UsageError(f"no device '{given}' here.{nearest(given, here)}", hint=f"devices: auto, {', '.join(here)}")
    return given


def check_dtype(given: str) -> str:
    """Return a dtype by name.

    Raises:
        UsageError: it is not one of ours.
    """
    if given not in DTYPES:
        raise UsageError(f"no dtype '{given}'.{nearest(given, DTYPES)}", hint=f"dtypes: {', '.join(DTYPES)}")
    return given
