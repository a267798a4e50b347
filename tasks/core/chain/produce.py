"""Making one artifact: lock, look, build in staging, publish. Knows no step and no Prefect."""

import importlib.metadata
import logging
import platform
import shlex
import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.core.chain.full_disk import explain_full_disk
from tasks.core.chain.manifest import Draft, Manifest, Recipe
from tasks.core.chain.plan import recipe_of, why_run
from tasks.core.chain.run import Run
from tasks.core.chain.step import Build, Job, Step
from tasks.core.errors import RequestError
from tasks.core.processes.host import host_name
from tasks.core.records.artifacts import Progress, Ref

log = logging.getLogger(__name__)

_VERSIONS_RECORDED = (
    "kospilot", "torch", "transformers", "trl", "peft", "bitsandbytes", "gguf", "duckdb", "pyarrow",
)  # fmt: skip


def produce(
    run: Run, name: str, reads: Mapping[str, Ref], progress: Progress, build: Build | None = None
) -> Ref:
    """The step's artifact: the intact one if there is one, else a new one.

    build: what makes it in place of the step's own build, for an adapter trained elsewhere.
    """
    step = run.steps[name]
    world = run.world()
    recipe = recipe_of(step, world, reads)
    with run.store.locked(f"{name}-{recipe.key}"):
        reason = why_run(recipe, world)
        if reason is None:
            manifest = run.store.known(name, recipe.key)
        else:
            log.info("%s: %s", name, reason)
            manifest = _make(run, replace(step, build=build or step.build), recipe, reads, progress)
    if step.after:
        step.after(run.settings.declared(step.readable_settings), run.store, manifest)
    return manifest.ref


def _make(
    run: Run, step: Step, recipe: Recipe, reads: Mapping[str, Ref], progress: Progress
) -> Manifest:
    """Builds and publishes the artifact of a recipe, whose lock is held."""
    started = time.time()
    with run.store.staging(recipe, step.resumes) as out, ExitStack() as held:
        inputs = _Inputs(run, step, reads, progress, held)
        try:
            metrics = step.build(inputs.job(recipe.key, out))
            draft = Draft(
                recipe=recipe,
                content=step.content,
                lineage={upstream: ref.key for upstream, ref in reads.items()},
                expendable=step.expendable,
                metrics=metrics,
                made=_made(run, started),
            )
            return run.store.publish(out, draft)
        except Exception as error:
            full = explain_full_disk(error, step.name, out)
            if full is None or isinstance(error, RequestError):
                raise
            raise full from error


@dataclass(frozen=True)
class _Inputs:
    """The artifacts that one build reads, held until it is done."""

    run: Run
    step: Step
    refs: Mapping[str, Ref]
    progress: Progress
    held: ExitStack  # the locks of expendable content, which nobody may remove while it is read
    folders: dict[str, Path] = field(default_factory=dict)  # those that were asked for

    def job(self, key: str, out: Path) -> Job:
        return Job(
            step=self.step.name,
            key=key,
            settings=self.run.settings.declared(self.step.readable_settings),
            reads=self.step.reads,
            folder=self.folder,
            out=out,
            outside=self.run.outside.get(self.step.name, {}),
            locked=self.run.store.locked,
            progress=self.progress,
            home=self.run.home,
        )

    def folder(self, upstream: str) -> Path:
        """Returns the folder of an upstream artifact.

        Expendable content is held, and rebuilt first if it is gone. Locks are taken from one's own
        up the chain, by all, so nobody waits in a circle: what is read besides and lies further
        down is held first, for its rebuilding would hold this one.
        """
        for name in reversed(self.run.steps):
            if upstream in self.folders:
                break
            if name in self.refs and name not in self.folders:
                self.folders[name] = self._hold(self.refs[name])
        return self.folders[upstream]

    def _hold(self, ref: Ref) -> Path:
        store = self.run.store
        manifest = store.known(ref.step, ref.key)
        if manifest.expendable:
            lock = store.locked(f"{ref.step}-{ref.key}", "is made or read by another run")
            self.held.enter_context(lock)
            if store.expended(manifest):
                self._rebuild(manifest)
        store.check(ref)
        return store.path(ref.step, ref.key)

    def _rebuild(self, manifest: Manifest) -> None:
        name = manifest.recipe.step
        log.info(
            "%s: its content was expended and %s needs it; rebuilding it", name, self.step.name
        )
        store = self.run.store
        step = self.run.steps[name]
        refs = {other: store.known(other, key).ref for other, key in manifest.lineage.items()}
        with ExitStack() as held:
            inputs = _Inputs(self.run, step, refs, self.progress, held)
            store.restore(manifest, lambda out: step.build(inputs.job(manifest.key, out)))


def find(run: Run, name: str) -> Ref:
    """The intact artifact of a step.

    Raises RequestError, with what has to run first, if the step or one that it is made from would
    have to run.
    """
    lines = {line.step: line for line in run.plan([name])}
    key = lines[name].key
    if lines[name].action == "skip" and key:
        return run.store.known(name, key).ref
    cause = next(line for line in lines.values() if line.action == "run")
    whose = "" if cause.step == name else f"{cause.step}: "
    command = ["kospilot", "run", *run.resolved.typed, "--until", name]
    raise RequestError(
        f"{name} is not there for these settings ({whose}{cause.reason})."
        f" Run `{shlex.join(command)}` first."
    )


def find_inputs(run: Run, names: Collection[str]) -> dict[str, Ref]:
    """What these steps read and do not make themselves.

    Raises RequestError if a part of it is not there, or if a step is forced that would not run.
    """
    idle = [name for name in run.force if name not in names]
    if idle:
        raise RequestError(
            f"Forcing {idle[0]} does nothing here: only {', '.join(names)} would run. Leave it out."
        )
    read = {other for name in names for other in run.steps[name].reads}
    wanted = [name for name in run.steps if name in read - set(names)]
    # The last one first: the command that makes it makes what is missing before it too.
    found = {name: find(run, name) for name in reversed(wanted)}
    return {name: found[name] for name in wanted}


def _made(run: Run, started: float) -> dict[str, Any]:
    """When, how long, where and with which versions an artifact was made."""
    return {
        "profile": run.history,
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="milliseconds"),
        "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "seconds": round(time.time() - started, 2),
        "host": host_name(),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": {name: importlib.metadata.version(name) for name in _VERSIONS_RECORDED},
    }
