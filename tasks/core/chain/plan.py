"""What would run, and why: a pure function of the steps, the settings, the world and the store.

The command prints a plan and the flows carry it out; both use `recipe_of`, so what was planned is
what runs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tasks.core.chain.manifest import Recipe, digest_content
from tasks.core.chain.step import Step
from tasks.core.chain.store import Store
from tasks.core.records.artifacts import Ref
from tasks.core.settings.tree import Settings

Outside = dict[str, dict[str, str]]
"""Per step, what it depends on outside the store: a file or a fact -> its digest or identity."""

ServerProblem = Callable[[str, str], str | None]
"""Why the model server does not hold a model (tag, digest), or None if it does."""


@dataclass(frozen=True)
class Planned:
    """One line of the plan."""

    step: str
    action: Literal["skip", "run", "depends"]
    reason: str
    key: str | None = None


@dataclass(frozen=True)
class World:
    """All that a plan looks at."""

    profile: str  # a changed artifact is compared with this profile's earlier ones
    settings: Settings
    steps: dict[str, Step]
    outside: Outside
    store: Store
    server_problem: ServerProblem
    force: tuple[str, ...] = ()


def recipe_of(step: Step, world: World, inputs: Mapping[str, Ref]) -> Recipe:
    """What decides the step's content, given the artifacts that it reads."""
    digests = {}
    for name, patterns in step.reads.items():
        digests[name] = _digest_read(world.store, inputs[name], patterns)
    return Recipe(
        step=step.name,
        version=step.version,
        inputs=digests,
        settings=_settings_of(step, world.settings),
        outside=world.outside.get(step.name, {}),
    )


def plan(world: World, targets: Sequence[str]) -> list[Planned]:
    """The targets and all that they are made from, in the order of the chain."""
    lines: dict[str, Planned] = {}
    refs: dict[str, Ref] = {}
    for name in _needed(world.steps, targets):
        step = world.steps[name]
        if is_idle(step, world, targets):
            lines[name] = Planned(name, "skip", f"nothing that {step.rehearses} needs is trained")
            continue
        open_inputs = [other for other in step.reads if lines[other].action != "skip"]
        if open_inputs:
            lines[name] = _plan_open(step, world, open_inputs)
            continue
        lines[name], ref = _plan_known(step, world, refs)
        if ref:
            refs[name] = ref
    _mark_rebuilds(world, lines)
    return list(lines.values())


def is_idle(step: Step, world: World, targets: Sequence[str]) -> bool:
    """Whether a run of these targets, in the order of the chain, has no use for a rehearsal.

    A rehearsal that is the last target, or forced, was asked for.
    """
    if not step.rehearses or step.name == targets[-1] or step.name in world.force:
        return False
    if step.rehearses not in targets:
        return True
    protected = [name for name in step.protects if name in world.steps]
    lines = plan(world, protected)
    return all(line.action == "skip" for line in lines if line.step in protected)


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
    return _why_untrue(recipe, world)


def _why_untrue(recipe: Recipe, world: World) -> str | None:
    """Why an intact artifact is no longer true of the model server."""
    step = world.steps[recipe.step]
    if step.served is None:
        return None
    try:
        model = step.served(world.store, world.store.known(recipe.step, recipe.key))
    except (KeyError, TypeError, AttributeError):
        return "its manifest.json does not name the model that it put on a server"
    return world.server_problem(model.tag, model.digest) if model else None


def difference(old: Recipe, new: Recipe) -> str:
    """Which parts of a recipe changed, from what to what."""
    parts = []
    if old.version != new.version:
        parts.append(f"{new.step} itself changed from version {old.version} to {new.version}")
    for name in _changed(old.settings, new.settings):
        was = old.settings.get(name, "unset")
        now = new.settings.get(name, "unset")
        parts.append(f"{name} changed from {was} to {now}")
    for name in _changed(old.inputs, new.inputs):
        parts.append(f"what it reads of {name} changed")
    outside = _changed(old.outside, new.outside)
    if outside:
        more = f" and {len(outside) - 1} more" if len(outside) > 1 else ""
        parts.append(f"{outside[0]}{more} changed")
    return "; ".join(parts) or "its artifact is not there"


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    names = sorted(old.keys() | new.keys())
    return [name for name in names if old.get(name, "unset") != new.get(name, "unset")]


def _needed(steps: dict[str, Step], targets: Sequence[str]) -> list[str]:
    wanted = set(targets)
    for name in reversed(steps):
        if name in wanted:
            wanted.update(steps[name].reads)
    return [name for name in steps if name in wanted]


def _plan_known(step: Step, world: World, refs: dict[str, Ref]) -> tuple[Planned, Ref | None]:
    """The line of a step whose inputs are all there, and its artifact if that is reused."""
    recipe = recipe_of(step, world, refs)
    reason = why_run(recipe, world)
    if reason:
        return Planned(step.name, "run", reason, recipe.key), None
    manifest = world.store.known(step.name, recipe.key)
    state = "intact"
    if world.store.expended(manifest):
        state = "its content was expended and is rebuilt when needed"
    return Planned(step.name, "skip", state, recipe.key), manifest.ref


def _plan_open(step: Step, world: World, open_inputs: list[str]) -> Planned:
    """The line of a step whose inputs are not known yet.

    It runs for certain only if it never ran or is forced.
    """
    if step.name in world.force:
        return Planned(step.name, "run", "forced")
    if not world.store.has_any(step.name):
        return Planned(step.name, "run", "not built yet")
    reason = f"runs if the content of {' or '.join(open_inputs)} changes"
    return Planned(step.name, "depends", reason)


def _mark_rebuilds(world: World, lines: dict[str, Planned]) -> None:
    """Expended content that a running step reads has to be rebuilt first, walking back."""
    for name in reversed(list(lines)):
        if lines[name].action != "run":
            continue
        for other in world.steps[name].reads:
            line = lines[other]
            if _is_expended(line, world.store):
                reason = (
                    f"its content was expended and {name} needs it: rebuilt from the same inputs"
                )
                lines[other] = Planned(other, "run", reason, line.key)


def _is_expended(line: Planned, store: Store) -> bool:
    if line.action != "skip" or line.key is None:
        return False
    return store.expended(store.known(line.step, line.key))


def _settings_of(step: Step, settings: Settings) -> dict[str, Any]:
    """The values of the settings that shape the step's content, by `section.field`."""
    values = {}
    for entry in step.settings:
        section, _, only = entry.partition(".")
        for name, value in getattr(settings, section).result_settings().items():
            if only in ("", name):
                values[f"{section}.{name}"] = value
    return values


def _digest_read(store: Store, ref: Ref, patterns: tuple[str, ...]) -> str:
    manifest = store.known(ref.step, ref.key)
    content = {path: manifest.files[path] for path in manifest.content}
    return digest_content(content, patterns)
