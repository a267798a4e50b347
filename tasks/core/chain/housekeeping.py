"""Questions about the whole store: which artifact a key means, and what may go."""

import os
import shutil
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.core.chain.manifest import Manifest
from tasks.core.chain.store import Store
from tasks.core.errors import RequestError
from tasks.core.files.atomic import half_written
from tasks.core.files.scratch import orphaned_folders
from tasks.core.records.artifacts import Ref

_ROLLED_BACK = "rolled-back"
_SCRATCH = ("downloads/tmp*", "downloads/.fetching-*", "tools/.building-*", ".kospilot-release-*")
"""Folders beside the artifacts, in KOSPILOT_HOME."""
_ABANDONED_S = 3600  # what wrote nothing for an hour was killed


@dataclass(frozen=True)
class Entry:
    """A folder or file that may go, with its bytes."""

    path: Path
    size: int
    expends: Ref | None = None  # of this artifact only the content goes, which can be rebuilt


@dataclass(frozen=True)
class Garbage:
    """What nothing needs."""

    unneeded: list[Entry]  # nothing is made from them: `gc --yes` removes them
    attempts: list[Entry]  # interrupted work that would be resumed: `--attempts` removes them too
    working: bool  # a run is at work, so that no artifact may go: it may be read
    latest_run: int  # when a run last began before this list was made, see Store.latest_run


@dataclass(frozen=True)
class Removed:
    """What a removal came to."""

    freed: int  # bytes
    spared: list[Entry]  # what a run needs since the list was made


def find_artifact(store: Store, key: str) -> Manifest:
    """The artifact whose key begins with `key`. Raises RequestError unless there is exactly one."""
    matches = store.find(key) if key else []
    if not matches:
        raise RequestError(
            f"No artifact's key begins with {key!r}. `kospilot artifacts list` shows them."
        )
    if len(matches) > 1:
        names = ", ".join(f"{folder.parent.name} {folder.name}" for folder in matches[:4])
        raise RequestError(f"{key!r} begins {len(matches)} keys: {names}. Give more characters.")
    manifest = store.manifest(matches[0].parent.name, matches[0].name)
    if manifest is None:
        raise RequestError(
            f"{matches[0]} has no manifest.json that can be read. The next run makes it again;"
            " `kospilot artifacts gc` removes it."
        )
    return manifest


def rolled_back(store: Store, promotion: Manifest) -> bool:
    """Whether `kospilot rollback` took this promotion back."""
    return _rollback_mark(store, promotion).exists()


def mark_promotions(store: Store, name: str, digest: str, rolled: bool) -> None:
    """Remembers for every promotion of a model whether it was taken back.

    name, digest: the model's name, and its digest on the server.
    """
    for manifest in store.manifests("promote"):
        if (manifest.metrics.get("name"), manifest.metrics.get("digest")) != (name, digest):
            continue
        mark = _rollback_mark(store, manifest)
        if rolled:
            mark.touch()
        else:
            mark.unlink(missing_ok=True)


def _rollback_mark(store: Store, promotion: Manifest) -> Path:
    return store.path(promotion.recipe.step, promotion.key) / _ROLLED_BACK


def garbage(store: Store, resumable: Collection[str]) -> Garbage:
    """What nothing needs; `resumable` names the steps that continue an interrupted attempt.

    That is: trash, attempts that nobody works at, what killed downloads and releases left,
    unreadable artifacts, artifacts that neither are a profile's newest of their step nor went into
    one that is, and content that should have been expended. While a run is at work, no artifact is
    called unneeded.
    """
    latest_run = store.latest_run()
    working = store.is_running()
    unneeded = list(store.root.glob(".trash/*"))
    attempts = []
    for entry in store.root.glob(".staging/*"):  # STEP-KEY, and STEP-KEY.json beside it
        if store.is_held(entry.stem):
            continue
        if entry.name.partition("-")[0] in resumable:
            attempts.append(entry)
        else:
            unneeded.append(entry)
    artifacts: list[Entry] = []
    if not working:
        manifests = store.manifests()
        unneeded += store.unreadable(manifests) + _scratch(store.root.parent)
        artifacts = _superseded_entries(store, manifests)
        artifacts += _left_over(store, manifests, {entry.path for entry in artifacts})
    entries = _with_sizes(unneeded) + artifacts
    return Garbage(entries, _with_sizes(attempts), working, latest_run)


def remove(
    store: Store, found: Garbage, entries: Iterable[Entry], resumable: Collection[str]
) -> Removed:
    """Removes entries of what `garbage` found, unless a run came to need them meanwhile.

    No run can begin during one removal. If one began since the list was made, the list is made
    anew, and what is no longer on it stays.
    """
    began = found.latest_run
    freed = 0
    spared = []
    allowed: set[Path] | None = None  # None: the list still holds
    for entry in entries:
        with store.gate():
            if store.latest_run() != began:
                began = store.latest_run()
                now = garbage(store, resumable)
                allowed = {other.path for other in [*now.unneeded, *now.attempts]}
            if (allowed is None or entry.path in allowed) and not _is_in_use(store, entry):
                freed += _remove_entry(store, entry)
            else:
                spared.append(entry)
    return Removed(freed, spared)


def remove_dead_locks(store: Store) -> int:
    """Removes the lock files of runs that were killed, and returns how many there were."""
    dead = 0
    with store.gate():
        for file in store.run_locks():
            if not store.is_held(file.stem):
                file.unlink(missing_ok=True)
                dead += 1
    return dead


def _is_in_use(store: Store, entry: Entry) -> bool:
    """Whether somebody makes or reads the artifact or the attempt at this moment."""
    folder = entry.path.parent
    is_artifact = folder.parent == store.root and not folder.name.startswith(".")
    name = f"{folder.name}-{entry.path.name}" if is_artifact else entry.path.stem
    return store.is_held(name)


def _remove_entry(store: Store, entry: Entry) -> int:
    if entry.expends:
        return store.expend(entry.expends)
    if entry.path.is_relative_to(store.root):
        store.discard(entry.path)
    elif entry.path.is_dir():  # scratch, perhaps on another disk
        shutil.rmtree(entry.path, ignore_errors=True)
    else:
        entry.path.unlink(missing_ok=True)
    return entry.size


def _scratch(home: Path) -> list[Path]:
    """What killed processes left beside the artifacts, and in the system's temporary folder."""
    left = half_written(home) + orphaned_folders()
    for pattern in _SCRATCH:
        left += home.glob(pattern)
    return [path for path in left if time.time() - _newest_change(path) > _ABANDONED_S]


def _newest_change(entry: Path) -> float:
    """When a file, or something in a folder, last changed, in seconds since 1970; now if it is
    being removed.
    """
    try:
        return max(path.lstat().st_mtime for path in [entry, *entry.rglob("*")])
    except FileNotFoundError:
        return time.time()


def _left_over(store: Store, manifests: list[Manifest], superseded: set[Path]) -> list[Entry]:
    """Content that a kill left between a promotion and its end, or in the middle of expending."""
    by_name = {(made.recipe.step, made.key): made for made in manifests}
    promoted: set[tuple[str, str]] = set()
    for manifest in manifests:
        if manifest.recipe.step == "promote":
            promoted |= _ancestors(by_name, [manifest])
    entries = []
    for name, manifest in by_name.items():
        if not manifest.expendable or store.path(*name) in superseded:
            continue
        is_due = store.expended(manifest) or name in promoted
        size = store.remaining(manifest)
        if is_due and size and not store.is_kept(manifest.ref):
            entries.append(Entry(store.path(*name), size, manifest.ref))
    return entries


def unneeded_tags(store: Store, found: Garbage, noted: Iterable[str]) -> set[str]:
    """Returns the tags of models that nothing needs, whichever server holds them.

    They are those of register artifacts that may be removed, and of those that steps noted down
    (serving/temporary.py) all for which no artifact vouches. Only what this store knows to be its
    own is named: others may register models of the same name on the same server.
    """
    superseded = {entry.path for entry in found.unneeded}
    tags = set(noted)
    needed = set()
    for manifest in store.manifests("register"):
        tag = str(manifest.metrics.get("tag"))
        if store.path("register", manifest.key) in superseded:
            tags.add(tag)
        else:
            needed.add(tag)
    return tags - needed


def _superseded_entries(store: Store, manifests: list[Manifest]) -> list[Entry]:
    entries = []
    for manifest in _superseded(manifests):
        path = store.path(manifest.recipe.step, manifest.key)
        if manifest.expendable:  # its content may be gone
            entries.append(Entry(path, _bytes(path)))
        else:
            entries.append(Entry(path, sum(size for size, _ in manifest.files.values())))
    return entries


def _superseded(manifests: list[Manifest]) -> list[Manifest]:
    """Artifacts that neither are a profile's newest of their step nor went into one that is."""
    by_name = {}
    newest: dict[tuple[str, str], Manifest] = {}
    for manifest in manifests:
        step = manifest.recipe.step
        by_name[step, manifest.key] = manifest
        last = newest.get((manifest.made["profile"], step))
        if last is None or last.age < manifest.age:
            newest[manifest.made["profile"], step] = manifest
    kept = _ancestors(by_name, newest.values())
    return [manifest for name, manifest in by_name.items() if name not in kept]


def _ancestors(
    by_name: Mapping[tuple[str, str], Manifest], artifacts: Iterable[Manifest]
) -> set[tuple[str, str]]:
    """The step and key of the artifacts, and of all that they were made from."""
    reached: set[tuple[str, str]] = set()
    pending = list(artifacts)
    while pending:
        manifest = pending.pop()
        name = (manifest.recipe.step, manifest.key)
        if name not in reached:
            reached.add(name)
            pending += [by_name[link] for link in manifest.lineage.items() if link in by_name]
    return reached


def _with_sizes(paths: list[Path]) -> list[Entry]:
    return [Entry(path, _bytes(path)) for path in sorted(paths)]


def _bytes(entry: Path) -> int:
    """What a file, or all files of a folder, take on the disk; a link's target is not counted."""
    if not entry.is_dir() or entry.is_symlink():
        return entry.lstat().st_size
    total = 0
    for folder, _, names in os.walk(entry):
        for name in names:
            total += os.lstat(os.path.join(folder, name)).st_size
    return total
