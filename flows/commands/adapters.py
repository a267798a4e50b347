"""An adapter that was trained anywhere, as commands name it: its base is found, and a model is made
of the two.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.console import say
from tasks.core.errors import RequestError, WorkError, did_you_mean

if TYPE_CHECKING:
    from tasks.core.chain.manifest import Manifest
    from tasks.core.chain.store import Store
    from tasks.core.records.artifacts import Progress
    from tasks.core.records.training_base import TrainingBase
    from tasks.core.release.model import Parts
    from tasks.core.serving.registration import NewModel

_NOT_IN_A_NAME = re.compile(r"[^a-z0-9._-]+")  # of a model on a server

_CONTEXT = 8192  # tokens served, if the model has as many
_NAME_LENGTH = 60  # characters of a name that the user did not give
_REPLY = 4096  # tokens of an answer at most
_KEY = re.compile(r"[0-9a-f]{4,24}")


@dataclass(frozen=True)
class Source:
    """An adapter and its base, and what both are called."""

    folder: Path
    base: str  # a folder, a hub id or `demo`
    origin: str  # where the base came from, for the model card
    name: str  # what the model is called unless the user says it
    artifact: "Manifest | None" = None  # the stage that trained it here


@dataclass(frozen=True)
class Request:
    """What is released, and how; all of it was checked before any work began."""

    source: Source
    name: str
    quantization: str
    system: str | None  # None: that of the training
    trained_on: "TrainingBase | None"  # None: the base's weights as they are
    rows_file: Path | None = None  # rows of the training, if the user names them


@dataclass(frozen=True)
class Made:
    """A finished GGUF with all that it was made of, and how it is to be served."""

    model: "NewModel"
    parts: "Parts"


def find_adapter(adapter: str, base: str | None, home: Path) -> Source:
    """The adapter that the argument means. Raises RequestError if there is none, or no base."""
    from tasks.core.chain.store import Store
    from tasks.core.release.adapter import check_beginnings
    from tasks.core.release.peft_folder import check_adapter, named_base
    from tasks.core.settings.tree import STAGES

    folder = Path(adapter).expanduser()
    store = Store(home / "artifacts")
    if not folder.exists() and (adapter in STAGES or _KEY.fullmatch(adapter)):
        return _of_artifact(store, _find_stage(store, adapter), base)
    check_adapter(folder)
    check_beginnings(folder)  # before gigabytes of its base are fetched
    folder = folder.resolve()
    location = base or named_base(folder)
    local = Path(location).expanduser()
    origin = local.resolve().name if local.is_dir() else location
    return Source(folder, location, origin, _name_after(folder))


def _name_after(folder: Path) -> str:
    """A model's name that is like the folder's, and that a server takes."""
    name = _NOT_IN_A_NAME.sub("-", folder.name.lower()).strip("-.")
    return name[:_NAME_LENGTH] or "adapter"


def _find_stage(store: "Store", stage_or_key: str) -> "Manifest":
    """The newest artifact of a stage, or the one whose key begins so."""
    from tasks.core.chain.housekeeping import find_artifact
    from tasks.core.settings.tree import STAGES

    if stage_or_key in STAGES:
        trained = store.manifests(stage_or_key)
        if not trained:
            raise RequestError(f"No {stage_or_key} was trained here yet: `kospilot demo` trains.")
        return trained[-1]
    manifest = find_artifact(store, stage_or_key)
    if manifest.recipe.step not in STAGES:
        raise RequestError(
            f"{manifest.key} is of {manifest.recipe.step} and no adapter. Take the key of one of"
            f" {', '.join(STAGES)}: `kospilot artifacts list` shows them."
        )
    return manifest


def _of_artifact(store: "Store", manifest: "Manifest", base: str | None) -> Source:
    step = manifest.recipe.step
    download = store.known("download", manifest.lineage.get("download", ""))
    for read in (manifest, download):
        store.check(read.ref)
    location = base or str(store.path("download", download.key) / "base")
    origin = base or download.metrics["base"]["from"]
    folder = store.path(step, manifest.key)
    return Source(folder, location, origin, f"kospilot-{step}", manifest)


def checked_quantization(name: str) -> str:
    from tasks.core.records.quantizations import BITS

    if name not in BITS:
        raise RequestError(
            f"There is no quantization {name!r}.{did_you_mean(name.upper(), BITS)} There are"
            f" {', '.join(BITS)}: -q Q4_K_M."
        )
    return name


def checked_values(folder: Path, given: str | None) -> "TrainingBase | None":
    """What the adapter is merged into: as its folder says, else as the option says, else the base
    as it is, which is said aloud.
    """
    from tasks.core.records.training_base import TrainingBase
    from tasks.core.release.training_values import base_as_trained

    known = {"nf4": TrainingBase("nf4", "bfloat16"), "16bit": None}
    if given is not None and given not in known:
        raise RequestError(f"--trained-on {given}: it is nf4 (QLoRA) or 16bit.")
    told = base_as_trained(folder)
    if told and given and (told.quantization == "nf4") != (given == "nf4"):
        raise RequestError(
            f"{folder} says that the adapter was trained on {told}: leave --trained-on out."
        )
    if told or given:
        return told or known[given or "16bit"]
    say(
        f"{folder} does not say what the adapter was trained on: it is merged into the base's"
        " weights as they are. If it was trained with QLoRA (load_in_4bit), give --trained-on nf4."
    )
    return None


def make_model(
    request: Request, rows: Path | None, work: Path, home: Path, report: "Progress"
) -> Made:
    """Brings base and adapter together in a folder, merges and quantizes them.

    rows: the importance matrix, where one helps, is computed from them. Raises WorkError.
    """
    from tasks.core.release.model import Model, build_parts
    from tasks.core.serving.modelfile import build_modelfile
    from tasks.core.serving.registration import NewModel
    from tasks.core.settings.release import Release
    from tasks.core.tools import ensure_llama_cpp

    base = work / "base"
    making = work / "making"
    making.mkdir()
    with _in_words_of(request, work):
        _gather(request.source, base, home, report)
        context = _context(base)
        limits = Release(num_ctx=context, num_predict=min(_REPLY, context // 2))
        modelfile = build_modelfile(base, limits, _system(request, base))
        if not limits.uses_imatrix(request.quantization):
            rows = None
        model = Model(base, request.source.folder, request.trained_on, rows)
        llama = ensure_llama_cpp(home, report)
        parts = build_parts(model, request.quantization, llama, making, report)
    return Made(NewModel(request.name, parts.gguf, modelfile, base), parts)


def _gather(source: Source, out: Path, home: Path, report: "Progress") -> None:
    """Makes `out` the base as the adapter was trained with it, and checks it."""
    from tasks.core.data.base_model.children import check_folder, refuse_faults
    from tasks.core.release.peft_folder import link_base

    fetched = _fetch(source.base, out.with_name("fetched"), home, report)
    link_base(fetched, source.folder, out)
    report(0.0, "checking base and tokenizer")
    refuse_faults(source.base, check_folder(out))


def _fetch(location: str, out: Path, home: Path, report: "Progress") -> list[Path]:
    """The base's files: those of a local folder as they lie, others fetched."""
    from tasks.core.data.base_model.folder import fetch_base, local_parts

    if Path(location).expanduser().is_dir():
        return local_parts(location)
    fetch_base(location, out, report, home / "downloads")
    return sorted(out.iterdir())


def _context(base: Path) -> int:
    """Tokens of context that are served: as many as usual, if the model has them."""
    from tasks.core.files.json_files import read_json

    trained: int = read_json(base / "config.json").get("max_position_embeddings") or _CONTEXT
    return min(_CONTEXT, trained)


def _system(request: Request, base: Path) -> str:
    """The system prompt of the training: kospilot's own adapters know the strategy prompt, others
    what their template puts before a conversation.
    """
    from tasks.core.chat.default_system import default_system
    from tasks.core.chat.template import ChatTemplate
    from tasks.core.kinds.base import system_prompt

    if request.system is not None:
        return request.system
    if (request.source.folder / "training_config.json").is_file():
        return system_prompt("ko")
    return default_system(ChatTemplate(base))


@contextmanager
def workplace(parent: Path) -> Iterator[Path]:
    """A folder for what is half done, on the disk of the result."""
    with tempfile.TemporaryDirectory(dir=parent, prefix=".kospilot-release-") as folder:
        yield Path(folder)


@contextmanager
def _in_words_of(request: Request, work: Path) -> Iterator[None]:
    """Lets an error name the base as the user did, not its place among what is half done."""
    try:
        yield
    except (RequestError, WorkError) as error:
        text = str(error).replace("model.base=", "--base ")
        for place in (work / "base", work / "making" / "merged"):
            text = text.replace(str(place), request.source.base)
        raise type(error)(text) from None
