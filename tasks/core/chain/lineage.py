"""What an artifact was made from, back to where data came in."""

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from tasks.core.chain.manifest import Manifest
from tasks.core.chain.store import Store
from tasks.core.errors import WorkError

Name = tuple[str, str]
"""Step and key."""


@dataclass(frozen=True)
class Ancestor:
    """An artifact of a lineage, and the artifacts of the same lineage that it read."""

    name: Name
    manifest: Manifest | None  # None if it is gone: gc removed it, or its manifest is damaged
    reads: tuple[Name, ...]


def trace(store: Store, manifest: Manifest) -> list[Ancestor]:
    """Everything that the artifact was made from, what was read before its readers, itself last.

    Raises WorkError if manifests name each other in a circle, which no run writes.
    """
    found: dict[Name, Manifest | None] = {}
    pending: list[tuple[Name, Manifest | None]] = [((manifest.recipe.step, manifest.key), manifest)]
    while pending:
        name, known = pending.pop()
        if name in found:
            continue
        found[name] = known
        for other in known.lineage.items() if known else ():
            pending.append((other, store.manifest(*other)))
    return [_ancestor(name, found[name]) for name in _in_order(found)]


def _ancestor(name: Name, manifest: Manifest | None) -> Ancestor:
    return Ancestor(name, manifest, tuple(manifest.lineage.items()) if manifest else ())


def _in_order(found: dict[Name, Manifest | None]) -> list[Name]:
    """Upstream first; of several that could come next, the one that was made first."""
    sorter: TopologicalSorter[Name] = TopologicalSorter()
    for name, manifest in found.items():
        sorter.add(name, *(manifest.lineage.items() if manifest else ()))
    try:
        sorter.prepare()
    except CycleError as error:
        circle = ", ".join(" ".join(name) for name in error.args[1])
        raise WorkError(
            f"These artifacts name each other as what they were made from: {circle}. Their"
            " manifest.json files were changed; `kospilot run PROFILE --force STEP` makes one anew."
        ) from error
    order: list[Name] = []
    ready: list[Name] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=lambda name: _made_at(found[name]))
        order.append(ready.pop(0))
        sorter.done(order[-1])
    return order


def _made_at(manifest: Manifest | None) -> str:
    return manifest.made["finished"] if manifest else ""
