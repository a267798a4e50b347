"""Questions about the whole store: which artifact a key means, which are unreadable, and what may
go.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tasks.core.chain.steps import chain
from tasks.core.chain.store import Manifest, Store
from tasks.core.errors import RequestError
from tasks.core.settings.tree import Settings

_ROLLED_BACK = "rolled-back"
_RUN = "run"  # how the names of the locks of whole runs begin


@dataclass(frozen=True)
class Garbage:
    """Folders and files that may go, with their bytes."""

    unneeded: list[tuple[Path, int]]  # nothing is made from them: `gc --yes`
    attempts: list[
        tuple[Path, int]
    ]  # interrupted work that the same command would go on with: `--attempts` too
    working: bool  # a run is at work, so that no artifact may go: it may be read


def resolve(store: Store, key: str) -> Manifest:
    """The artifact whose key begins with `key`. Raises RequestError unless there is exactly one."""
    found = [manifest for manifest in store.manifests() if manifest.key.startswith(key)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise RequestError(
            f"No artifact's key begins with {key!r}. `kospilot artifacts list` shows them."
        )
    names = ", ".join(f"{manifest.recipe.step} {manifest.key}" for manifest in found[:4])
    raise RequestError(f"{key!r} begins {len(found)} keys: {names}. Give more characters.")


def unreadable(store: Store) -> list[Path]:
    """Artifact folders without a readable manifest."""
    folders = (folder for folder in store.root.glob("[!.]*/*") if folder.is_dir())
    return sorted(
        folder for folder in folders if store.manifest(folder.parent.name, folder.name) is None
    )


def rolled_back(store: Store, manifest: Manifest) -> bool:
    """Whether a promotion was taken back by `kospilot rollback`."""
    return (
        manifest.recipe.step == "promote"
        and (store.path("promote", manifest.key) / _ROLLED_BACK).exists()
    )


def mark_promotions(store: Store, name: str, digest: str, rolled: bool) -> None:
    """Remembers for every promotion of this model (name, digest on the server) whether it was taken
    back.
    """
    for manifest in store.manifests("promote"):
        if manifest.metrics["name"] == name and manifest.metrics["digest"] == digest:
            mark = store.path("promote", manifest.key) / _ROLLED_BACK
            mark.touch() if rolled else mark.unlink(missing_ok=True)


def run_lock(process: int) -> str:
    """The name of the lock that a run holds from its first step to its last."""
    return f"{_RUN}-{process}"


def garbage(store: Store) -> Garbage:
    """What nothing needs: trash, attempts that nobody works at, unreadable artifacts, and artifacts
    that neither are a profile's newest of their step nor went into one that is. While a run is
    at work no artifact is called unneeded.
    """
    held = store.held()
    working = any(name.partition("-")[0] == _RUN for name in held)
    idle = [
        entry for entry in store.root.glob(".staging/*") if entry.stem not in held
    ]  # STEP-KEY and STEP-KEY.json
    resumable = {step.name for step in chain(Settings()).values() if step.resumes}
    attempts = [entry for entry in idle if entry.name.partition("-")[0] in resumable]
    unneeded = [entry for entry in idle if entry not in attempts] + list(
        store.root.glob(".trash/*")
    )
    if not working:
        unneeded += _superseded(store) + unreadable(store)
    return Garbage(_weighed(unneeded), _weighed(attempts), working)


def unneeded_tags(store: Store, there: Iterable[str]) -> list[str]:
    """Of a server's models, those of our register artifacts that may go, and baselines that a
    killed evaluation left.

    Only what this store knows to be its own: others may register models of the same name on the
    same server.
    """
    registered, superseded = store.manifests("register"), set(_superseded(store))
    mine = {
        manifest.metrics["tag"]
        for manifest in registered
        if store.path("register", manifest.key) in superseded
    }
    names = {manifest.recipe.settings["release.name"] for manifest in registered}
    evaluations = [entry.name.partition("-")[2] for entry in store.root.glob(".staging/evaluate-*")]
    mine |= {f"{name}-base:{key[:8]}" for name in names for key in evaluations}
    return sorted(mine & set(there))


def _superseded(store: Store) -> list[Path]:
    manifests = {(manifest.recipe.step, manifest.key): manifest for manifest in store.manifests()}
    newest = {
        (manifest.made["profile"], manifest.recipe.step): manifest
        for manifest in manifests.values()
    }
    kept: set[tuple[str, str]] = set()
    pending = list(newest.values())
    while pending:
        manifest = pending.pop()
        if (manifest.recipe.step, manifest.key) not in kept:
            kept.add((manifest.recipe.step, manifest.key))
            pending += [manifests[link] for link in manifest.lineage.items() if link in manifests]
    return [store.path(*name) for name in manifests if name not in kept]


def _weighed(entries: list[Path]) -> list[tuple[Path, int]]:
    return [(entry, _bytes(entry)) for entry in sorted(entries)]


def _bytes(folder: Path) -> int:
    return sum(entry.stat().st_size for entry in [folder, *folder.rglob("*")] if entry.is_file())
