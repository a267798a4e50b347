"""Content-addressed artifacts: immutable folders artifacts/<step>/<key>/ that appear whole.

A step works in a staging folder under the lock of its key and publishes it by rename, with
manifest.json written last. The lock is the kernel's: it frees itself when its owner dies. A killed
attempt stays in staging for steps that resume, and is discarded by the others.
"""

import contextlib
import fnmatch
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tasks.core.errors import WorkError
from tasks.core.files.digests import digest_file, digest_value
from tasks.core.files.json_files import read_json, write_json
from tasks.core.records.artifacts import Ref

log = logging.getLogger(__name__)

Files = dict[str, tuple[int, str]]
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
    made: dict[str, Any] = field(default_factory=dict)  # time, seconds, machine, versions

    @property
    def ref(self) -> Ref:
        """The reference by which other steps and Prefect know the artifact."""
        return Ref(self.recipe.step, self.key, self.digest)


@dataclass(frozen=True)
class Draft:
    """What the maker of an artifact says about it; the store adds files and digests."""

    recipe: Recipe
    content: tuple[str, ...]
    lineage: dict[str, str]
    expendable: bool
    metrics: dict[str, Any]
    made: dict[str, Any]


def digest_content(files: Files, patterns: Sequence[str]) -> str:
    """The digest over the sorted (path, sha256) of the files that match one of the globs.

    Raises WorkError if none does.
    """
    chosen = [[path, sha] for path, (_, sha) in sorted(files.items()) if _matches(path, patterns)]
    if not chosen:
        there = ", ".join(sorted(files)) or "none at all"
        raise WorkError(f"No file matches {', '.join(patterns)}; there are {there}.")
    return digest_value(chosen)


def _matches(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


class Store:
    """The artifacts under one folder."""

    def __init__(self, root: Path):
        self.root = root

    def path(self, step: str, key: str) -> Path:
        """Where an artifact lies, or would lie."""
        return self.root / step / key

    def manifest(self, step: str, key: str) -> Manifest | None:
        """The artifact's manifest, or None if there is none that can be read."""
        try:
            raw = read_json(self.path(step, key) / "manifest.json")
            raw["recipe"] = Recipe(**raw["recipe"])
            raw["files"] = {path: tuple(entry) for path, entry in raw["files"].items()}
            return Manifest(**raw)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def known(self, step: str, key: str) -> Manifest:
        """The manifest of an artifact that is there. Raises WorkError if it cannot be read."""
        manifest = self.manifest(step, key)
        if manifest is None:
            raise WorkError(
                f"{self.path(step, key)} was there a moment ago and has no readable manifest.json"
                " now. Run the same command again."
            )
        return manifest

    def manifests(self, step: str | None = None) -> list[Manifest]:
        """All readable manifests, of one step or of all, oldest first."""
        files = sorted(self.root.glob(f"{step or '[!.]*'}/*/manifest.json"))
        read = [self.manifest(file.parent.parent.name, file.parent.name) for file in files]
        manifests = [manifest for manifest in read if manifest]
        return sorted(manifests, key=lambda manifest: manifest.made["finished"])

    def expended(self, manifest: Manifest) -> bool:
        """Whether the content was removed on purpose; until it is rebuilt, the manifest vouches."""
        return (self.path(manifest.recipe.step, manifest.key) / "expended.json").exists()

    def size(self, manifest: Manifest) -> int:
        """Bytes on the disk: an expended artifact's content takes none."""
        return sum(size for _, (size, _) in self._kept_files(manifest))

    def problem(self, step: str, key: str, deep: bool = False) -> str | None:
        """Why the artifact cannot be used, or None if it is intact.

        Sizes are compared always, digests if `deep`.
        """
        folder = self.path(step, key)
        if not folder.exists():
            return "not there"
        manifest = self.manifest(step, key)
        if manifest is None:
            return "its manifest.json is missing or damaged"
        for path, (size, sha) in self._kept_files(manifest):
            file = folder / path
            if not file.is_file():
                return f"{path} is missing"
            if file.stat().st_size != size:
                return f"{path} has {file.stat().st_size:,} bytes, not {size:,}"
            if deep and digest_file(file) != sha:
                return f"the content of {path} changed"
        return None

    def _kept_files(self, manifest: Manifest) -> Iterator[tuple[str, tuple[int, str]]]:
        gone = set(manifest.content) if self.expended(manifest) else set()
        for path, entry in manifest.files.items():
            if path not in gone:
                yield path, entry

    def before(self, recipe: Recipe, profile: str, moment: str | None = None) -> Manifest | None:
        """Returns the profile's newest artifact of this step with another key.

        With a moment, it was made no later than that. None if there is no such artifact.
        """
        for manifest in reversed(self.manifests(recipe.step)):
            if manifest.key == recipe.key or manifest.made["profile"] != profile:
                continue
            if moment is None or manifest.made["finished"] <= moment:
                return manifest
        return None

    @contextlib.contextmanager
    def locked(self, name: str, taken: str = "is being made by another run") -> Iterator[None]:
        """Lets one holder in at a time; a second one waits, and logs the name and `taken`."""
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
        """The names whose lock somebody holds: what is being made or read at this moment."""
        names = {file.stem for file in self.root.glob(".locks/*.lock")}
        return {name for name in names if self._is_held(name)}

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
        """The folder to build in, to be used under the key's lock.

        An error keeps the folder only if the step resumes.
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

    def publish(self, folder: Path, draft: Draft) -> Manifest:
        """Turns a staging folder into the artifact: digests, manifest, rename.

        A damaged predecessor is replaced.
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
        """Removes an expendable artifact's content, and returns the bytes freed.

        The manifest stays, and says what the content was.
        """
        manifest = self.manifest(ref.step, ref.key)
        if manifest is None or not manifest.expendable or self.expended(manifest):
            return 0
        folder = self.path(ref.step, ref.key)
        with self.locked(f"{ref.step}-{ref.key}", "is being read by another run"):
            record = {"at": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "files": manifest.content}
            write_json(folder / "expended.json", record)
            for path in manifest.content:
                (folder / path).unlink(missing_ok=True)
        return sum(manifest.files[path][0] for path in manifest.content)

    def restore(self, manifest: Manifest, build: Callable[[Path], Any]) -> None:
        """Rebuilds expended content, which must come out as the manifest says, byte for byte.

        Raises WorkError if it does not.
        """
        step, key = manifest.recipe.step, manifest.key
        final = self.path(step, key)
        with self.staging(manifest.recipe, resumes=False) as folder:
            build(folder)
            rebuilt = digest_content(_scan(folder), manifest.content)
            if rebuilt != manifest.digest:
                raise WorkError(
                    f"{step} {key} came out different when rebuilt ({rebuilt[:12]}, was"
                    f" {manifest.digest[:12]}): a tool or library changed. Build it anew with"
                    f" `kospilot run PROFILE --force {step}`."
                )
            for path in manifest.content:
                (final / path).parent.mkdir(parents=True, exist_ok=True)
                os.replace(folder / path, final / path)
            (final / "expended.json").unlink()
        shutil.rmtree(folder, ignore_errors=True)

    def discard(self, entry: Path) -> None:
        """Removes a file, or a folder that may be large, and never shows it half-removed."""
        if not entry.exists():
            return
        trash = self.root / ".trash" / uuid.uuid4().hex
        trash.parent.mkdir(parents=True, exist_ok=True)
        os.replace(entry, trash)
        if trash.is_dir():
            shutil.rmtree(trash, ignore_errors=True)
        else:
            trash.unlink()


def _scan(folder: Path) -> Files:
    """Size and digest of every file of an artifact but its manifest, in the order of the paths."""
    files: Files = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != "manifest.json":
            files[str(file.relative_to(folder))] = (file.stat().st_size, digest_file(file))
    return files
