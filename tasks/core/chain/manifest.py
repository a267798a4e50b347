"""What an artifact says about itself: its recipe, its files and their digests, how it was made.

Reads manifest.json. Fields that a newer version wrote are read over and stay in the file, so that
an older version does not take its artifacts for damaged.
"""

import fnmatch
import os
import stat
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, NonNegativeInt, TypeAdapter

from tasks.core.errors import WorkError
from tasks.core.files.digests import digest_value
from tasks.core.records.artifacts import Ref

_LARGEST = 64 << 20  # bytes; the longest manifests have some hundred kilobytes
_UTF8_MARK = b"\xef\xbb\xbf"  # an editor may have put it before the text


def _dated(made: dict[str, Any]) -> dict[str, Any]:
    """Refuses what does not say for whom and when an artifact was made."""
    for name in ("profile", "finished"):
        if not isinstance(made.get(name), str):
            raise ValueError(f"{name} is no text")
    return made


Files = dict[str, tuple[NonNegativeInt, str]]
"""Path in the artifact's folder -> bytes, sha256."""


@dataclass(frozen=True)
class Recipe:
    """Exactly what can change a step's content. The key is its digest."""

    step: str
    version: int
    inputs: dict[str, str]  # upstream step -> digest of the files read
    settings: dict[str, Any]
    outside: dict[str, str]  # outside file or fact -> its digest or identity

    @property
    def key(self) -> str:
        """24 hexadecimal digits."""
        return digest_value(asdict(self))[:24]


@dataclass(frozen=True)
class Manifest:
    """What an artifact is, where it came from and how it was made. Written last, never changed."""

    recipe: Recipe
    key: str
    digest: str  # of the content files
    files: Files
    content: list[str]  # the files that count
    lineage: dict[str, str]  # upstream step -> key
    expendable: bool
    metrics: dict[str, Any] = field(default_factory=dict)
    made: Annotated[dict[str, Any], AfterValidator(_dated)] = field(default_factory=dict)
    """profile, time, seconds, machine, versions, and the number among its step's artifacts."""

    @property
    def ref(self) -> Ref:
        """The reference by which other steps and Prefect know the artifact."""
        return Ref(self.recipe.step, self.key, self.digest)

    @property
    def age(self) -> tuple[int, str]:
        """What later artifacts of a step have more of, even if the clock went back meanwhile.

        Artifacts of older versions have no number: their time orders them before all others.
        """
        number = self.made.get("number", 0)
        return (number if isinstance(number, int) else 0, self.made["finished"])


@dataclass(frozen=True)
class Draft:
    """What the maker of an artifact says about it; the store adds files and digests."""

    recipe: Recipe
    content: tuple[str, ...]
    lineage: dict[str, str]
    expendable: bool
    metrics: dict[str, Any]
    made: dict[str, Any]


def read_manifest(root: Path, step: str, key: str) -> Manifest | None:
    """The manifest of the artifact root/step/key, or None if none can be read and trusted.

    It must name the step and the key of the folders that it lies in.
    """
    file = f"{root}/{step}/{key}/manifest.json"  # a Path each would take longer than the reading
    try:
        found = os.stat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:  # a fifo would never end
            return None
        with open(file, "rb") as opened:
            manifest = _reader().validate_json(opened.read().removeprefix(_UTF8_MARK))
    except (OSError, ValueError):
        return None
    if (manifest.recipe.step, manifest.key) != (step, key):
        return None
    if any(_leaves(path) for path in manifest.files):
        return None
    return manifest if manifest.files.keys() >= set(manifest.content) else None


def _leaves(path: str) -> bool:
    """Whether a path is none in the artifact's folder."""
    return not path or path.startswith("/") or "\0" in path or ".." in path.split("/")


@cache
def _reader() -> TypeAdapter[Manifest]:
    return TypeAdapter(Manifest)


def digest_content(files: Files, patterns: Sequence[str]) -> str:
    """The digest over the sorted (path, sha256) of the files that match one of the globs.

    Raises WorkError if none does.
    """
    chosen = [[path, sha] for path, (_, sha) in sorted(files.items()) if matches(path, patterns)]
    if not chosen:
        there = ", ".join(sorted(files)) or "none at all"
        raise WorkError(f"No file matches {', '.join(patterns)}; there are {there}.")
    return digest_value(chosen)


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether a file counts by one of the globs."""
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)
