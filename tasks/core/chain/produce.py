"""Making one artifact: lock, look, build in staging, publish. Knows no step and no Prefect."""

import importlib.metadata
import logging
import platform
import shlex
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.core.chain.plan import recipe_of, why_run
from tasks.core.chain.run import Run
from tasks.core.chain.steps import Step, chain
from tasks.core.chain.store import Draft, Manifest
from tasks.core.errors import RequestError, WorkError
from tasks.core.records.artifacts import Progress, Ref

log = logging.getLogger(__name__)

_VERSIONS_RECORDED = (
    "kospilot",
    "torch",
    "transformers",
    "trl",
    "peft",
    "bitsandbytes",
    "gguf",
    "duckdb",
    "pyarrow",
)


@dataclass(frozen=True)
class Job:
    """What a step's build function is given."""

    run: Run
    step: Step
    key: str
    reads: dict[str, Ref]
    out: Path
    progress: Progress
    held: ExitStack  # the locks of what is read, until the step is made
    rebuild: Mapping[str, "Build"] = field(default_factory=dict)

    def folder(self, step: str) -> Path:
        """An upstream artifact's folder, once in a job. Expendable content is held, and rebuilt
        first if it is gone.

        Locks are taken upstream after one's own, by all, so nobody waits in a circle.
        """
        store, ref = self.run.store, self.reads[step]
        manifest = store.manifest(ref.step, ref.key)
        if manifest.expendable:
            self.held.enter_context(
                store.locked(f"{step}-{ref.key}", "is made or read by another run")
            )
            if store.expended(manifest):
                self._restore(manifest)
        return store.path(ref.step, ref.key)

    def _restore(self, manifest: Manifest) -> None:
        step = manifest.recipe.step
        log.info(
            "%s: its content was expended and %s needs it; rebuilding it", step, self.step.name
        )
        store = self.run.store
        inputs = {name: store.manifest(name, key).ref for name, key in manifest.lineage.items()}
        with ExitStack() as held:
            job = replace(
                self, step=chain(self.run.settings)[step], key=manifest.key, reads=inputs, held=held
            )
            store.restore(manifest, lambda out: self.rebuild[step](replace(job, out=out)))


Build = Callable[[Job], dict[str, Any]]
"""Writes a step's files into job.out and returns its metrics."""


def produce(
    run: Run,
    name: str,
    reads: dict[str, Ref],
    build: Build,
    progress: Progress,
    rebuild: Mapping[str, Build] | None = None,
) -> Ref:
    """The step's artifact: the intact one if there is one, else a new one."""
    step = chain(run.settings)[name]
    world = run.world()
    recipe = recipe_of(step, world, reads)
    with run.store.locked(f"{name}-{recipe.key}"):
        reason = why_run(recipe, world)
        if reason is None:
            return run.store.manifest(name, recipe.key).ref
        log.info("%s: %s", name, reason)
        started = time.time()
        try:
            with run.store.staging(recipe, step.resumes) as out, ExitStack() as held:
                metrics = build(
                    Job(run, step, recipe.key, reads, out, progress, held, rebuild or {})
                )
                lineage = {upstream: ref.key for upstream, ref in reads.items()}
                draft = Draft(
                    recipe, step.content, lineage, step.expendable, metrics, _made(run, started)
                )
                return run.store.publish(out, draft).ref
        except OSError as error:
            raise _explain(error, name) from error


def find(run: Run, name: str) -> Ref:
    """The intact artifact of a step whose inputs are all there; otherwise says why not, and what to
    run first.
    """
    lines = {line.step: line for line in run.plan([name])}
    if lines[name].action == "skip":
        return run.store.manifest(name, lines[name].key).ref
    cause = next(line for line in lines.values() if line.action == "run")
    whose = "" if cause.step == name else f"{cause.step}: "
    command = shlex.join(
        ["kospilot", "run", run.resolved.profile, *run.resolved.overrides, "--until", name]
    )
    raise RequestError(
        f"{name} is not there for these settings ({whose}{cause.reason}). Run `{command}` first."
    )


def find_inputs(run: Run, names: Collection[str]) -> dict[str, Ref]:
    """What a part of the chain reads and does not make itself. Raises RequestError where it is not
    there.
    """
    if idle := [name for name in run.force if name not in names]:
        raise RequestError(
            f"Forcing {idle[0]} does nothing here: only {', '.join(names)} would run. Leave it out."
        )
    steps = chain(run.settings)
    read = {other for name in names for other in steps[name].reads}
    return {name: find(run, name) for name in steps if name in read and name not in names}


def _explain(error: OSError, name: str) -> Exception:
    if error.errno == 28:  # ENOSPC
        return WorkError(
            f"{name} stopped: no space left on the disk of {error.filename or 'KOSPILOT_HOME'}. Free some"
            " (`kospilot artifacts gc`) and run the same command again: finished steps are kept."
        )
    return error


def _made(run: Run, started: float) -> dict[str, Any]:
    versions = {name: importlib.metadata.version(name) for name in _VERSIONS_RECORDED}
    return {
        "profile": run.resolved.profile,
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="milliseconds"),
        "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "seconds": round(time.time() - started, 2),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": versions,
    }
