"""Questions about the whole store: which artifact a key means, which are unreadable, and what may go."""

from pathlib import Path

from tasks.core.errors import RequestError
from tasks.core.store import Manifest, Store

_ROLLED_BACK = "rolled-back"


def resolve(store: Store, key: str) -> Manifest:
    """The artifact whose key begins with `key`. Raises RequestError unless there is exactly one."""
    found = [manifest for manifest in store.manifests() if manifest.key.startswith(key)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise RequestError(f"No artifact's key begins with {key!r}. `kospilot artifacts list` shows them.")
    names = ", ".join(f"{manifest.recipe.step} {manifest.key}" for manifest in found[:4])
    raise RequestError(f"{key!r} begins {len(found)} keys: {names}. Give more characters.")


def unreadable(store: Store) -> list[Path]:
    """Artifact folders without a readable manifest."""
    folders = (folder for folder in store.root.glob("[!.]*/*") if folder.is_dir())
    return sorted(folder for folder in folders if store.manifest(folder.parent.name, folder.name) is None)


def rolled_back(store: Store, manifest: Manifest) -> bool:
    """Whether a promotion was taken back by `kospilot rollback`."""
    return manifest.recipe.step == "promote" and (store.path("promote", manifest.key) / _ROLLED_BACK).exists()


def mark_promotions(store: Store, name: str, digest: str, rolled: bool) -> None:
    """Remembers for every promotion of this model (name, digest on the server) whether it was taken back."""
    for manifest in store.manifests("promote"):
        if manifest.metrics["name"] == name and manifest.metrics["digest"] == digest:
            mark = store.path("promote", manifest.key) / _ROLLED_BACK
            mark.touch() if rolled else mark.unlink(missing_ok=True)


def garbage(store: Store) -> list[tuple[Path, int]]:
    """Folders that nothing needs, with their bytes: unreadable artifacts, interrupted attempts, trash, and artifacts
    that neither are a profile's newest of their step nor went into one that is."""
    manifests = {(manifest.recipe.step, manifest.key): manifest for manifest in store.manifests()}
    newest = {(manifest.made["profile"], manifest.recipe.step): manifest for manifest in manifests.values()}
    kept: set[tuple[str, str]] = set()
    pending = list(newest.values())
    while pending:
        manifest = pending.pop()
        if (manifest.recipe.step, manifest.key) not in kept:
            kept.add((manifest.recipe.step, manifest.key))
            pending += [manifests[link] for link in manifest.lineage.items() if link in manifests]
    folders = [store.path(*name) for name in manifests if name not in kept] + unreadable(store)
    folders += [*store.root.glob(".staging/*"), *store.root.glob(".trash/*")]
    return [(folder, _bytes(folder)) for folder in sorted(folders)]


def _bytes(folder: Path) -> int:
    return sum(entry.stat().st_size for entry in [folder, *folder.rglob("*")] if entry.is_file())
