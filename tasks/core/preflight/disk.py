"""How much disk a run needs, by the size of its base model and the steps that it runs, and how much
there is.

Reads a local base model's folder, an earlier download's manifest, or the hub's listing.
"""

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from tasks.core.chain.store import Store
from tasks.core.data.base_folder import repo_of
from tasks.core.data.hub import Repo, list_files, pinned_commit
from tasks.core.errors import RequestError, WorkError
from tasks.core.settings.tree import Settings

_DEMO_BYTES = 270_000_000  # SmolLM2-135M in bf16
_UNKNOWN_BYTES = 15_300_000_000  # Qwen2.5-7B in bf16: what is supposed where nobody can say

# What a step leaves or holds while it works, in sizes of the 16-bit base model: Q4_K_M is 0.3 of
# it, and a server keeps
# a copy of its own; a 7B stage with three checkpoints is 2 of 15 GB.
_SIZES = {
    "download": 1.0,
    "stage1": 0.15,
    "stage2": 0.15,
    "stage3": 0.15,
    "merge": 1.0,
    "gguf": 1.0,
    "quantize": 0.35,
    "register": 0.35,
    "baseline": 1.35,
}
_ALWAYS_GIB, _SOURCES_GIB = (
    1.0,
    1.5,
)  # logs, databases, rows; the five sources, llama.cpp's source and build


def needed_gib(base: int, steps: Iterable[str]) -> float:
    """What the steps write; base: bytes of the base model's weights."""
    steps = set(steps)
    fixed = _ALWAYS_GIB + _SOURCES_GIB * ("download" in steps)
    return fixed + base / 2**30 * sum(_SIZES.get(step, 0) for step in steps)


def base_bytes(settings: Settings, home: Path) -> int:
    """Bytes of the base model's weights."""
    location = settings.model.base
    if location == "demo":
        return _DEMO_BYTES
    repo = repo_of(location)
    if repo is None:
        return sum(
            file.stat().st_size for file in Path(location).expanduser().glob("*.safetensors")
        )
    return _hub_bytes(repo, home) or _UNKNOWN_BYTES


def _hub_bytes(repo: Repo, home: Path) -> int:
    """0 where the revision is not pinned, or neither fetched before nor listed by the hub now."""
    commit = pinned_commit(repo, home / "downloads")
    if commit is None:
        return 0
    for manifest in Store(home / "artifacts").manifests("download"):
        if manifest.metrics["base"]["revision"] == commit:
            return manifest.metrics["base"]["bytes"]
    with contextlib.suppress(RequestError, WorkError):
        return sum(
            size for name, size in list_files(repo, commit).items() if name.endswith(".safetensors")
        )
    return 0


def free_gib(home: Path) -> float:
    existing = next(folder for folder in [home, *home.parents] if folder.exists())
    return shutil.disk_usage(existing).free / 2**30


def check_space(home: Path, needed: float) -> None:
    """Refuses to start what the disk cannot hold; needed in GiB."""
    if (free := free_gib(home)) < needed:
        raise WorkError(
            f"{home} has {free:.1f} GiB free and this run needs about {needed:.1f} GiB."
            " Free some (`kospilot artifacts gc`), or set KOSPILOT_HOME to a larger disk."
        )
