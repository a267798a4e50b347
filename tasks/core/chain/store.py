"""Content-addressed artifacts: immutable folders artifacts/<step>/<key>/ that appear whole,
manifest.json last.

A step works in a staging folder under the lock of its key and publishes by rename. The lock is the
kernel's: it frees itself when its owner dies. A killed attempt stays in staging for steps that
resume, and is discarded by the others.
"""

import contextlib
import fnmatch
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tasks.core.errors import WorkError
from tasks.core.files.digests import digest_file, digest_value
from tasks.core.files.json_files import write_json
from tasks.core.records.artifacts import Ref

log = logging.getLogger(__name__)


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
        return digest_value(asdict(self))[:24]


@dataclass(frozen=True)
class Manifest:
    """What an artifact is, where it came from and how it was made. Written last, never changed."""

    recipe: Recipe
    key: str
    digest: str  # of the content files
    files: dict[str, tuple[int, str]]  # path -> (bytes, sha256)
    content: list[str]  # the files that count
    lineage: dict[str, str]  # upstream step -> key
    expendable: bool
    metrics: dict[str, Any] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)  # time, seconds, machine, versions

    @property
    def ref(self) -> Ref:
        return Ref(self.recipe.step, self.key, self.digest)


def digest_content(files: dict[str, tuple[int, str]], patterns: tuple[str, ...] | list[str]) -> str:
    """Digest over the sorted (path, sha256) of the files that match; raises WorkError where none
    does.
    """
    chosen = [[path, sha] for path, (_, sha) in sorted(files.items()) if _matches(path, patterns)]
    if not chosen:
        raise WorkError(
            f"No file matches {', '.join(patterns)}; there are {', '.join(sorted(files)) or 'none at all'}."
        )
    return digest_value(chosen)


def _matches(path: str, patterns) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


class Store:
    """Artifacts under one folder."""

    def __init__(self, root: Path):
        self.root = root

    def path(self, step: str, key: str) -> Path:
        return self.root / step / key

    def manifest(self, step: str, key: str) -> Manifest | None:
        try:
            raw = json.loads((self.path(step, key) / "manifest.json").read_text(encoding="utf-8"))
            raw["recipe"] = Recipe(**raw["recipe"])
            raw["files"] = {path: tuple(entry) for path, entry in raw["files"].items()}
            return Manifest(**raw)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def manifests(self, step: str | None = None) -> list[Manifest]:
        """All readable manifests, oldest first."""
        folders = sorted(self.root.glob(f"{step or '[!.]*'}/*/manifest.json"))
        found = [self.manifest(file.parent.parent.name, file.parent.name) for file in folders]
        return sorted(
            (manifest for manifest in found if manifest),
            key=lambda manifest: manifest.made["finished"],
        )

    def expended(self, manifest: Manifest) -> bool:
        """Whether the content was removed on purpose; the manifest vouches for it until it is
        rebuilt.
        """
        return (self.path(manifest.recipe.step, manifest.key) / "expended.json").exists()

    def size(self, manifest: Manifest) -> int:
        """Bytes on the disk: an expended artifact's content takes none."""
        gone = set(manifest.content) if self.expended(manifest) else set()
        return sum(size for path, (size, _) in manifest.files.items() if path not in gone)

    def problem(self, step: str, key: str, deep: bool = False) -> str | None:
        """Why the artifact cannot be used, or None if it is intact: sizes always, digests when
        deep.
        """
        folder = self.path(step, key)
        if not folder.exists():
            return "not there"
        manifest = self.manifest(step, key)
        if manifest is None:
            return "its manifest.json is missing or damaged"
        gone = set(manifest.content) if self.expended(manifest) else set()
        for path, (size, sha) in manifest.files.items():
            if path in gone:
                continue
            file = folder / path
            if not file.is_file():
                return f"{path} is missing"
            if file.stat().st_size != size:
                return f"{path} has {file.stat().st_size:,} bytes, not {size:,}"
            if deep and digest_file(file) != sha:
                return f"the content of {path} changed"
        return None

    def before(self, recipe: Recipe, profile: str, moment: str | None = None) -> Manifest | None:
        """The profile's newest other artifact of the step, made until the moment: what a new one is
        compared with.
        """
        others = [
            manifest
            for manifest in self.manifests(recipe.step)
            if manifest.key != recipe.key and manifest.made["profile"] == profile
        ]
        return next(
            (
                other
                for other in reversed(others)
                if moment is None or other.made["finished"] <= moment
            ),
            None,
        )

    @contextlib.contextmanager
    def locked(self, name: str, taken: str = "is being made by another run") -> Iterator[None]:
        """One holder at a time; a second one waits and says why: the name and what became of it."""
        lock = self._lock(name)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("%s %s; waiting for it", name, taken)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def held(self) -> set[str]:
        """The names that somebody holds the lock of: what is being made or read at this moment."""
        return {
            name for file in self.root.glob(".locks/*.lock") if self._is_held(name := file.stem)
        }

    def _is_held(self, name: str) -> bool:
        try:
            with self._lock(name).acquire(timeout=0):
                return False
        except Timeout:
            return True

    def _lock(self, name: str) -> FileLock:
        folder = self.root / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{name}.lock")

    @contextlib.contextmanager
    def staging(self, recipe: Recipe, resumes: bool) -> Iterator[Path]:
        """The folder to build in. Call under the key's lock. An error keeps it only for steps that
        resume.
        """
        folder = self.root / ".staging" / f"{recipe.step}-{recipe.key}"
        if not resumes:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield folder
        except BaseException:
            if not resumes:
                shutil.rmtree(folder, ignore_errors=True)
            raise

    def publish(self, folder: Path, draft: "Draft") -> Manifest:
        """Turns a staging folder into the artifact: digests, manifest, rename. A damaged
        predecessor is replaced.
        """
        files = _scan(folder)
        manifest = Manifest(
            recipe=draft.recipe,
            key=draft.recipe.key,
            digest=digest_content(files, draft.content),
            files=files,
            content=[path for path in files if _matches(path, draft.content)],
            lineage=draft.lineage,
            expendable=draft.expendable,
            metrics=draft.metrics,
            made=draft.made,
        )
        write_json(folder / "manifest.json", asdict(manifest))
        final = self.path(manifest.recipe.step, manifest.key)
        final.parent.mkdir(parents=True, exist_ok=True)
        self.discard(final)
        os.replace(folder, final)
        return manifest

    def expend(self, ref: Ref) -> int:
        """Removes an expendable artifact's content and returns the bytes freed. The manifest stays."""
        manifest = self.manifest(ref.step, ref.key)
        if manifest is None or not manifest.expendable or self.expended(manifest):
            return 0
        folder, said = self.path(ref.step, ref.key), {"at": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        with self.locked(f"{ref.step}-{ref.key}", "is being read by another run"):
            write_json(folder / "expended.json", {**said, "files": manifest.content})
            for path in manifest.content:
                (folder / path).unlink(missing_ok=True)
        return sum(manifest.files[path][0] for path in manifest.content)

    def restore(self, manifest: Manifest, build: Callable[[Path], Any]) -> None:
        """Rebuilds expended content. It must come out as the manifest says, byte for byte."""
        step, key = manifest.recipe.step, manifest.key
        with self.staging(manifest.recipe, resumes=False) as folder:
            build(folder)
            rebuilt = digest_content(_scan(folder), manifest.content)
            if rebuilt != manifest.digest:
                raise WorkError(
                    f"{step} {key} came out different when rebuilt ({rebuilt[:12]}, was {manifest.digest[:12]}):"
                    f" a tool or library changed. Build it anew with `kospilot run PROFILE --force {step}`."
                )
            for path in manifest.content:
                (self.path(step, key) / path).parent.mkdir(parents=True, exist_ok=True)
                os.replace(folder / path, self.path(step, key) / path)
            (self.path(step, key) / "expended.json").unlink()
        shutil.rmtree(folder, ignore_errors=True)

    def discard(self, folder: Path) -> None:
        """Removes a folder that may be large, or a file, without ever showing it half-removed."""
        if folder.exists():
            trash = self.root / ".trash" / uuid.uuid4().hex
            trash.parent.mkdir(parents=True, exist_ok=True)
            os.replace(folder, trash)
            shutil.rmtree(trash, ignore_errors=True) if trash.is_dir() else trash.unlink()


@dataclass(frozen=True)
class Draft:
    """What the maker of an artifact says about it; the store adds files and digests."""

    recipe: Recipe
    content: tuple[str, ...]
    lineage: dict[str, str]
    expendable: bool
    metrics: dict[str, Any]
    made: dict[str, Any]


def _scan(folder: Path) -> dict[str, tuple[int, str]]:
    files = sorted(
        entry for entry in folder.rglob("*") if entry.is_file() and entry.name != "manifest.json"
    )
    return {
        str(entry.relative_to(folder)): (entry.stat().st_size, digest_file(entry))
        for entry in files
    }
