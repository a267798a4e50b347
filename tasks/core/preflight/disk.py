"""How much disk a run needs, by its base model and its steps, and how much there is.

Reads a local base model's folder, an earlier download's manifest, or the hub's listing.
"""

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from tasks.core.chain.step import Step
from tasks.core.chain.store import Store
from tasks.core.data.base_model.folder import repo_of
from tasks.core.data.hub import Repo, list_files, pinned_commit
from tasks.core.errors import RequestError, WorkError
from tasks.core.files.json_files import read_json
from tasks.core.settings.tree import Settings

_DEMO_BYTES = 270_000_000  # SmolLM2-135M in bf16
_UNKNOWN_BYTES = 15_300_000_000  # Qwen2.5-7B in bf16, which is supposed if nobody can say
_LARGER_THAN_NF4 = 4  # 16 bit for 4; embeddings are in 16 bit already
_ALWAYS_GIB = 1.0  # logs, databases, rows


def needed_gib(base: int, steps: Iterable[Step]) -> float:
    """What the steps write, in GiB; base: bytes of the base model's weights."""
    needed = _ALWAYS_GIB
    for step in steps:
        needed += step.disk_gib + step.disk_of_base * base / 2**30
    return needed


def base_bytes(settings: Settings, home: Path) -> int:
    """Bytes of the base model's weights in 16 bit."""
    location = settings.model.base
    if location == "demo":
        return _DEMO_BYTES
    repo = repo_of(location)
    if repo is None:
        return _folder_bytes(Path(location).expanduser())
    return _hub_bytes(repo, home) or _UNKNOWN_BYTES


def _folder_bytes(folder: Path) -> int:
    """Bytes in 16 bit of the weights of a model's folder; at most, if they come as NF4."""
    stored = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    with contextlib.suppress(OSError, ValueError):  # refused later, in other words
        if "quantization_config" in read_json(folder / "config.json"):
            return _LARGER_THAN_NF4 * stored
    return stored


def _hub_bytes(repo: Repo, home: Path) -> int:
    """Bytes of a hub model's weights in 16 bit, or as they are listed if it was never fetched.

    0 if its revision is not pinned, or was neither fetched before nor is listed by the hub now.
    """
    commit = pinned_commit(repo, home / "downloads")
    if commit is None:
        return 0
    store = Store(home / "artifacts")
    for manifest in store.manifests("download"):
        base = manifest.metrics["base"]
        if base["revision"] == commit:
            fetched = store.path("download", manifest.key) / "base"
            return _folder_bytes(fetched) or int(base["bytes"])
    with contextlib.suppress(RequestError, WorkError):
        sizes = list_files(repo, commit)
        return sum(size for name, size in sizes.items() if name.endswith(".safetensors"))
    return 0


def free_gib(home: Path) -> float:
    """Free space on the disk of the home's artifacts, which need not exist yet, in GiB."""
    return shutil.disk_usage(_written_to(home)).free / 2**30


def check_space(home: Path, needed: float) -> None:
    """Refuses to start what the disk cannot hold; needed in GiB."""
    free = free_gib(home)
    if free < needed:
        raise WorkError(
            f"{_written_to(home)} has {free:.1f} GiB free and this run needs about"
            f" {needed:.1f} GiB. Free some (`kospilot artifacts gc`), or set KOSPILOT_HOME to a"
            " larger disk."
        )


def _written_to(home: Path) -> Path:
    """The folder that steps write to, which may be a disk of its own, or the first above it that
    exists.
    """
    artifacts = home / "artifacts"
    return next(folder for folder in [artifacts, *artifacts.parents] if folder.exists())
