"""What would run, and why: a pure function of the chain, the settings, the outside world and the
store.

The command prints it and the flows carry it out; both use `recipe_of`, so what was planned is what
runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.core.chain.steps import Step, chain
from tasks.core.chain.store import Manifest, Recipe, Store, digest_content
from tasks.core.records.artifacts import Ref
from tasks.core.settings.tree import Settings

Outside = dict[str, dict[str, str]]
"""Per step, what it depends on outside the store: a file or a fact -> its digest or identity."""

Live = Callable[[Manifest], str | None]
"""Why an artifact is no longer true of the model server, or None."""


@dataclass(frozen=True)
class Planned:
    """One line of the plan."""

    step: str
    action: Literal["skip", "run", "depends"]
    reason: str
    key: str | None = None


@dataclass(frozen=True)
class World:
    """All a plan looks at."""

    profile: str  # whose earlier artifacts a changed one is compared with
    settings: Settings
    outside: Outside
    store: Store
    live: Live
    force: tuple[str, ...] = ()


def recipe_of(step: Step, world: World, inputs: dict[str, Ref]) -> Recipe:
    """What decides the step's content, given the artifacts it reads."""
    return Recipe(
        step=step.name,
        version=step.version,
        inputs={
            name: _digest_read(world.store, inputs[name], patterns)
            for name, patterns in step.reads.items()
        },
        settings=_settings_of(step, world.settings),
        outside=world.outside.get(step.name, {}),
    )


def plan(world: World, targets: Sequence[str]) -> list[Planned]:
    """The targets and all they are made from, in the chain's order."""
    steps = chain(world.settings)
    lines: dict[str, Planned] = {}
    refs: dict[str, Ref] = {}
    for name in _needed(steps, targets):
        step = steps[name]
        open_inputs = [other for other in step.reads if lines[other].action != "skip"]
        if open_inputs:
            lines[name] = _plan_open(step, world, open_inputs)
            continue
        recipe = recipe_of(step, world, refs)
        reason = why_run(recipe, world)
        if reason is None:
            manifest = world.store.manifest(name, recipe.key)
            refs[name] = manifest.ref
            gone = (
                "its content was expended and is rebuilt when needed"
                if world.store.expended(manifest)
                else "intact"
            )
            lines[name] = Planned(name, "skip", gone, recipe.key)
        else:
            lines[name] = Planned(name, "run", reason, recipe.key)
    _mark_rebuilds(steps, lines, world.store)
    return list(lines.values())


def why_run(recipe: Recipe, world: World) -> str | None:
    """Why a step must run, or None if its artifact is there, intact and still true."""
    if recipe.step in world.force:
        return "forced"
    store = world.store
    problem = store.problem(recipe.step, recipe.key)
    if problem == "not there":
        earlier = store.before(recipe, world.profile)
        return difference(earlier.recipe, recipe) if earlier else "not built yet"
    if problem:
        return f"its artifact is damaged: {problem}"
    return world.live(store.manifest(recipe.step, recipe.key))


def difference(old: Recipe, new: Recipe) -> str:
    """Which part of a recipe changed, from what to what."""
    parts = []
    if old.version != new.version:
        parts.append(f"{new.step} itself changed from version {old.version} to {new.version}")
    for name in sorted(old.settings.keys() | new.settings.keys()):
        was, now = old.settings.get(name, "unset"), new.settings.get(name, "unset")
        if was != now:
            parts.append(f"{name} changed from {was} to {now}")
    for name in sorted(old.inputs.keys() | new.inputs.keys()):
        if old.inputs.get(name) != new.inputs.get(name):
            parts.append(f"what it reads of {name} changed")
    changed = [
        n
        for n in sorted(old.outside.keys() | new.outside.keys())
        if old.outside.get(n) != new.outside.get(n)
    ]
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        parts.append(f"{changed[0]}{more} changed")
    return "; ".join(parts) or "its artifact is not there"


def _needed(steps: dict[str, Step], targets: Sequence[str]) -> list[str]:
    wanted = set(targets)
    for name in reversed(steps):
        if name in wanted:
            wanted.update(steps[name].reads)
    return [name for name in steps if name in wanted]


def _plan_open(step: Step, world: World, open_inputs: list[str]) -> Planned:
    """A step whose inputs are not known yet: it runs for certain only if it never ran or is forced."""
    if step.name in world.force:
        return Planned(step.name, "run", "forced")
    if not world.store.manifests(step.name):
        return Planned(step.name, "run", "not built yet")
    return Planned(
        step.name, "depends", f"runs if the content of {' or '.join(open_inputs)} changes"
    )


def _mark_rebuilds(steps: dict[str, Step], lines: dict[str, Planned], store: Store) -> None:
    """Expended content that a running step reads has to be rebuilt first, walking back."""
    for name in reversed(list(lines)):
        if lines[name].action != "run":
            continue
        for other in steps[name].reads:
            line = lines[other]
            if line.action == "skip" and store.expended(store.manifest(other, line.key)):
                reason = (
                    f"its content was expended and {name} needs it: rebuilt from the same inputs"
                )
                lines[other] = Planned(other, "run", reason, line.key)


def _settings_of(step: Step, settings: Settings) -> dict:
    found = {}
    for entry in step.settings:
        section, _, only = entry.partition(".")
        for name, value in getattr(settings, section).result_settings().items():
            if only in ("", name):
                found[f"{section}.{name}"] = value
    return found


def _digest_read(store: Store, ref: Ref, patterns: tuple[str, ...]) -> str:
    manifest = store.manifest(ref.step, ref.key)
    content = {path: manifest.files[path] for path in manifest.content}
    return digest_content(content, patterns)
