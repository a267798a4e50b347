"""Questions about the whole store: which artifact a key means, and what may go."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from tasks.core.chain.store import Manifest, Store
from tasks.core.errors import RequestError
from tasks.core.serving.tags import PURPOSES, temporary_tag

_ROLLED_BACK = "rolled-back"
_RUN = "run"  # how the names of the locks of whole runs begin


@dataclass(frozen=True)
class Entry:
    """A folder or file that may go, with its bytes."""

    path: Path
    size: int


@dataclass(frozen=True)
class Garbage:
    """What nothing needs."""

    unneeded: list[Entry]  # nothing is made from them: `gc --yes` removes them
    attempts: list[Entry]  # interrupted work that would be resumed: `--attempts` removes them too
    working: bool  # a run is at work, so that no artifact may go: it may be read


def find_artifact(store: Store, key: str) -> Manifest:
    """The artifact whose key begins with `key`. Raises RequestError unless there is exactly one."""
    matches = [manifest for manifest in store.manifests() if manifest.key.startswith(key)]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise RequestError(
            f"No artifact's key begins with {key!r}. `kospilot artifacts list` shows them."
        )
    names = ", ".join(f"{manifest.recipe.step} {manifest.key}" for manifest in matches[:4])
    raise RequestError(f"{key!r} begins {len(matches)} keys: {names}. Give more characters.")


def unreadable(store: Store) -> list[Path]:
    """Artifact folders without a readable manifest."""
    folders = [folder for folder in store.root.glob("[!.]*/*") if folder.is_dir()]
    return sorted(f for f in folders if store.manifest(f.parent.name, f.name) is None)


def rolled_back(store: Store, promotion: Manifest) -> bool:
    """Whether `kospilot rollback` took this promotion back."""
    return _rollback_mark(store, promotion).exists()


def mark_promotions(store: Store, name: str, digest: str, rolled: bool) -> None:
    """Remembers for every promotion of a model whether it was taken back.

    name, digest: the model's name, and its digest on the server.
    """
    for manifest in store.manifests("promote"):
        if manifest.metrics["name"] != name or manifest.metrics["digest"] != digest:
            continue
        mark = _rollback_mark(store, manifest)
        if rolled:
            mark.touch()
        else:
            mark.unlink(missing_ok=True)


def _rollback_mark(store: Store, promotion: Manifest) -> Path:
    return store.path(promotion.recipe.step, promotion.key) / _ROLLED_BACK


def run_lock(process: int) -> str:
    """The name of the lock that a run holds from its first step to its last."""
    return f"{_RUN}-{process}"


def garbage(store: Store, resumable: Collection[str]) -> Garbage:
    """What nothing needs; `resumable` names the steps that continue an interrupted attempt.

    That is: trash, attempts that nobody works at, unreadable artifacts, and artifacts that neither
    are a profile's newest of their step nor went into one that is. While a run is at work, no
    artifact is called unneeded.
    """
    held = store.held()
    working = any(name.partition("-")[0] == _RUN for name in held)
    unneeded = list(store.root.glob(".trash/*"))
    attempts = []
    for entry in store.root.glob(".staging/*"):  # STEP-KEY, and STEP-KEY.json beside it
        if entry.stem in held:
            continue
        if entry.name.partition("-")[0] in resumable:
            attempts.append(entry)
        else:
            unneeded.append(entry)
    if not working:
        unneeded += _superseded(store) + unreadable(store)
    return Garbage(_with_sizes(unneeded), _with_sizes(attempts), working)


def unneeded_tags(store: Store, there: Iterable[str]) -> list[str]:
    """Returns models of a server that nothing needs.

    They are those of register artifacts that may be removed, and those that a killed step served
    for its own use. Only what this store knows to be its own is named: others may register models
    of the same name on the same server.
    """
    registered = store.manifests("register")
    superseded = set(_superseded(store))
    tags = set()
    for manifest in registered:
        if store.path("register", manifest.key) in superseded:
            tags.add(manifest.metrics["tag"])
    names = {manifest.recipe.settings["release.name"] for manifest in registered}
    for attempt in store.root.glob(".staging/*-*"):
        key = attempt.name.partition("-")[2]
        for name, purpose in product(names, PURPOSES):
            tags.add(temporary_tag(name, purpose, key))
    return sorted(tags & set(there))


def _superseded(store: Store) -> list[Path]:
    """Artifacts that neither are a profile's newest of their step nor went into one that is."""
    manifests = {}
    newest = {}
    for manifest in store.manifests():  # oldest first: a later one takes the place of an earlier
        step = manifest.recipe.step
        manifests[step, manifest.key] = manifest
        newest[manifest.made["profile"], step] = manifest
    kept: set[tuple[str, str]] = set()
    pending = list(newest.values())
    while pending:
        manifest = pending.pop()
        name = (manifest.recipe.step, manifest.key)
        if name not in kept:
            kept.add(name)
            pending += [manifests[link] for link in manifest.lineage.items() if link in manifests]
    return [store.path(*name) for name in manifests if name not in kept]


def _with_sizes(paths: list[Path]) -> list[Entry]:
    return [Entry(path, _bytes(path)) for path in sorted(paths)]


def _bytes(entry: Path) -> int:
    return sum(file.stat().st_size for file in [entry, *entry.rglob("*")] if file.is_file())
