"""Content-addressed artifacts: immutable folders artifacts/<step>/<key>/ that appear whole.

A step works in a staging folder under the lock of its key and publishes it by rename, with
manifest.json written last. The lock is the kernel's: it frees itself when its owner dies. A killed
attempt stays in staging for steps that resume, and is discarded by the others.
"""

import contextlib
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tasks.core.chain.intact import find_damage, find_other_size, forget, remember, scan
from tasks.core.chain.manifest import (
    Draft,
    Files,
    Manifest,
    Recipe,
    digest_content,
    matches,
    read_manifest,
)
from tasks.core.errors import WorkError
from tasks.core.files.atomic import give_usual_modes, sync, sync_folder, write_text
from tasks.core.files.json_files import write_json
from tasks.core.processes.living import process_name
from tasks.core.records.artifacts import Ref

log = logging.getLogger(__name__)

_EXPENDED = "expended.json"  # its content was removed on purpose
_DAMAGED = ".damaged"  # beside the files: what `verify` found
_KEPT = ".kept"  # beside the files: expendable content that its user wants to keep
_RUN = "run-"  # how the names of the locks of whole runs begin


@dataclass(frozen=True)
class Glance:
    """What is seen of an artifact without reading its files."""

    size: int  # bytes on the disk: an expended artifact's content takes none
    problem: str | None
    expended: bool


class Store:
    """The artifacts under one folder."""

    def __init__(self, root: Path):
        self.root = root

    def path(self, step: str, key: str) -> Path:
        """Where an artifact lies, or would lie."""
        return self.root / step / key

    def manifest(self, step: str, key: str) -> Manifest | None:
        """The artifact's manifest, or None if there is none that can be read."""
        return read_manifest(self.root, step, key)

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
        manifests = []
        for name, key in self._names(step):
            manifest = self.manifest(name, key)
            if manifest:
                manifests.append(manifest)
        if step:
            return sorted(manifests, key=lambda manifest: manifest.age)
        return sorted(manifests, key=lambda manifest: manifest.made["finished"])

    def unreadable(self, manifests: list[Manifest] | None = None) -> list[Path]:
        """Artifact folders without a readable manifest; manifests: all others, if they are read."""
        every = self.manifests() if manifests is None else manifests
        readable = {(manifest.recipe.step, manifest.key) for manifest in every}
        others = [self.path(*name) for name in self._names() if name not in readable]
        return [folder for folder in others if folder.is_dir()]

    def has_any(self, step: str) -> bool:
        """Whether the step ever ran here: one artifact that can be read is enough."""
        return any(self.manifest(step, key) for _, key in self._names(step))

    def find(self, beginning: str) -> list[Path]:
        """The folders of the artifacts, readable or not, whose keys begin so."""
        return [self.path(*name) for name in self._names() if name[1].startswith(beginning)]

    def _names(self, step: str | None = None) -> list[tuple[str, str]]:
        """Step and key of what lies there, of one step or of all, in the order of the names."""
        steps = [step] if step else _listed(self.root)
        return [(name, key) for name in steps for key in _listed(self.root / name)]

    def expended(self, manifest: Manifest) -> bool:
        """Whether the content was removed on purpose; until it is rebuilt, the manifest vouches."""
        return (self.path(manifest.recipe.step, manifest.key) / _EXPENDED).exists()

    def glance(self, manifest: Manifest) -> Glance:
        """Looks at an artifact's sizes and marks, and reads no file."""
        folder = self.path(manifest.recipe.step, manifest.key)
        beside = set(os.listdir(folder))
        files = manifest.files
        if _EXPENDED in beside:
            files = _without(files, manifest.content)
        problem = find_other_size(folder, files)
        if _DAMAGED in beside:
            problem = self._mark(manifest.recipe.step, manifest.key).read_text(errors="replace")
        size = sum(size for size, _ in files.values())
        return Glance(size, problem, _EXPENDED in beside)

    def problem(self, step: str, key: str, deep: bool = False) -> str | None:
        """Why the artifact cannot be used, or None if it is intact.

        A file whose state changed since it was last read is read again; every file is if `deep`.
        """
        folder = self.path(step, key)
        if not folder.exists():
            return "not there"
        manifest = self.manifest(step, key)
        if manifest is None:
            return "its manifest.json is missing or damaged"
        if not deep and self._mark(step, key).exists():
            return self._mark(step, key).read_text(encoding="utf-8", errors="replace")
        files = manifest.files
        if self.expended(manifest):
            files = _without(files, manifest.content)
        return find_damage(folder, files, deep)

    def check(self, ref: Ref) -> None:
        """Raises WorkError, with the file and what to do, unless an artifact can be read."""
        problem = self.problem(ref.step, ref.key)
        if problem:
            raise WorkError(
                f"{ref.step} {ref.key} is damaged: {problem} ({self.path(ref.step, ref.key)})."
                " Nothing was made of it. Run `kospilot run PROFILE` again, which makes it anew."
            )

    def verify(self, step: str, key: str) -> str | None:
        """Reads every file, and marks the artifact if it is damaged: the next run makes it again.

        Returns the problem, or None. An artifact that is intact again loses its mark.
        """
        problem = self.problem(step, key, deep=True)
        if problem is None:
            self._mark(step, key).unlink(missing_ok=True)
        elif self.manifest(step, key):
            self.mark_damaged(step, key, problem)
        return problem

    def mark_damaged(self, step: str, key: str, problem: str) -> None:
        """Lets the next run make an artifact again, and say why."""
        write_text(self._mark(step, key), problem)

    def _mark(self, step: str, key: str) -> Path:
        return self.path(step, key) / _DAMAGED

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

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Holds off `artifacts gc` for a whole run: nothing that the run may read is removed."""
        lock = self._lock(f"{_RUN}{process_name()}")
        with self.gate():
            lock.acquire()
            self._latest_run.touch()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                Path(lock.lock_file).unlink()
            lock.release()

    def gate(self) -> contextlib.AbstractContextManager[None]:
        """What a run that begins and gc's every removal pass one at a time."""
        return self.locked("gc", "is removing something")

    def latest_run(self) -> int:
        """When a run last began on this store, in ns; 0 if none did. A newer one has another."""
        try:
            return self._latest_run.stat().st_mtime_ns
        except OSError:
            return 0

    @property
    def _latest_run(self) -> Path:
        return self.root / ".locks" / "latest-run"

    def is_running(self) -> bool:
        """Whether a run is at work, which may read any artifact."""
        return any(self.is_held(file.stem) for file in self.run_locks())

    def run_locks(self) -> list[Path]:
        """The files of the locks of runs, those of dead processes too."""
        return sorted(self.root.glob(f".locks/{_RUN}*.lock"))

    def is_held(self, name: str) -> bool:
        """Whether somebody holds the lock of this name: the artifact is made or read just now."""
        if not (self.root / ".locks" / f"{name}.lock").exists():
            return False
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
        folder = self.staging_path(recipe.step, recipe.key)
        if not resumes:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield folder
        except BaseException:
            if not resumes:
                shutil.rmtree(folder, ignore_errors=True)
            raise

    def staging_path(self, step: str, key: str) -> Path:
        """Where an artifact lies while it is made."""
        return self.root / ".staging" / f"{step}-{key}"

    def publish(self, folder: Path, draft: Draft) -> Manifest:
        """Turns a staging folder into the artifact: digests, manifest, rename.

        A damaged predecessor is replaced.
        """
        step = draft.recipe.step
        forget(folder)
        give_usual_modes(folder)
        files, states = scan(folder)
        manifest = Manifest(
            recipe=draft.recipe,
            key=draft.recipe.key,
            digest=digest_content(files, draft.content),
            files=files,
            content=[path for path in files if matches(path, draft.content)],
            lineage=draft.lineage,
            expendable=draft.expendable,
            metrics=draft.metrics,
            made={**draft.made, "number": self._next_number(step)},
        )
        write_json(folder / "manifest.json", asdict(manifest))
        remember(folder, states)
        sync_folder(folder)
        final = self.path(step, manifest.key)
        final.parent.mkdir(parents=True, exist_ok=True)
        self.discard(final)
        os.replace(folder, final)
        sync(final.parent)
        return manifest

    def _next_number(self, step: str) -> int:
        """What tells a step's newest artifact from the others even after the clock went back."""
        return 1 + max((manifest.age[0] for manifest in self.manifests(step)), default=0)

    def keep(self, ref: Ref) -> None:
        """Lets gc spare an expendable artifact's content: its user asked to keep it."""
        (self.path(ref.step, ref.key) / _KEPT).touch()

    def is_kept(self, ref: Ref) -> bool:
        """Whether gc spares the artifact's content."""
        return (self.path(ref.step, ref.key) / _KEPT).exists()

    def expend(self, ref: Ref) -> int:
        """Removes an expendable artifact's content, and returns the bytes freed.

        The manifest stays, and says what the content was. What a killed process left of it goes.
        """
        manifest = self.manifest(ref.step, ref.key)
        if manifest is None or not manifest.expendable:
            return 0
        folder = self.path(ref.step, ref.key)
        if self.expended(manifest) and not self.remaining(manifest):
            return 0
        with self.locked(f"{ref.step}-{ref.key}", "is being read by another run"):
            freed = self.remaining(manifest)
            record = {"at": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "files": manifest.content}
            write_json(folder / _EXPENDED, record)
            sync(folder / _EXPENDED)
            sync(folder)
            for path in manifest.content:
                (folder / path).unlink(missing_ok=True)
        return freed

    def remaining(self, manifest: Manifest) -> int:
        """Bytes of an artifact's content that are on the disk, expended or not."""
        folder = self.path(manifest.recipe.step, manifest.key)
        files = [folder / path for path in manifest.content]
        return sum(file.stat().st_size for file in files if file.is_file())

    def restore(self, manifest: Manifest, build: Callable[[Path], Any]) -> None:
        """Rebuilds expended content, which must come out as the manifest says, byte for byte.

        Raises WorkError if it does not.
        """
        step, key = manifest.recipe.step, manifest.key
        final = self.path(step, key)
        with self.staging(manifest.recipe, resumes=False) as folder:
            build(folder)
            give_usual_modes(folder)
            rebuilt = digest_content(scan(folder)[0], manifest.content)
            if rebuilt != manifest.digest:
                raise WorkError(
                    f"{step} {key} came out different when rebuilt ({rebuilt[:12]}, was"
                    f" {manifest.digest[:12]}): a tool or library changed. Build it anew with"
                    f" `kospilot run PROFILE --force {step}`."
                )
            for path in manifest.content:
                (final / path).parent.mkdir(parents=True, exist_ok=True)
                os.replace(folder / path, final / path)
            sync_folder(final)
            (final / _EXPENDED).unlink()
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


def _listed(folder: Path) -> list[str]:
    """The names of what lies in a folder, if it is one; hidden things are left out."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return []


def _without(files: Files, content: list[str]) -> Files:
    """The files that stay if the content is expended."""
    gone = set(content)
    return {path: entry for path, entry in files.items() if path not in gone}
