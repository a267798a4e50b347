"""How Prefect sees artifacts: cache keys that are the store's, results that verify themselves,
progress in the UI.

A task's result is a Ref of some 200 bytes. Prefect takes a record that fails to load for no record,
so a missing or damaged artifact is a cache miss, and the log says why. Locking is the store's
alone: a second lock here would deadlock.
"""

import base64
import json
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from prefect import Task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.serializers import JSONSerializer, Serializer

from tasks.core.chain.plan import recipe_of
from tasks.core.chain.produce import Build, produce
from tasks.core.chain.run import Run, kospilot_home
from tasks.core.chain.status import write_status
from tasks.core.chain.steps import chain
from tasks.core.chain.store import Store
from tasks.core.errors import RequestError
from tasks.core.records.artifacts import Ref

log = logging.getLogger(__name__)
progress_log = logging.getLogger("tasks.progress")

_UI_PERIOD_S = (
    5.0  # between two updates of a progress artifact: each one is a request to the server
)


@dataclass
class ArtifactPolicy(CachePolicy):
    """The cache key is the artifact's key. Steps whose hit the model server must confirm have none."""

    step: str = ""

    def compute_key(
        self, task_ctx, inputs: dict[str, Any], flow_parameters, **kwargs: Any
    ) -> str | None:
        run: Run = inputs["run"]
        step = chain(run.settings)[self.step]
        return (
            None
            if step.live
            else f"{step.name}-{recipe_of(step, run.world(), inputs['reads']).key}"
        )


class RefSerializer(Serializer):
    """Refs as JSON; loading one whose artifact is gone or damaged fails, which Prefect takes for a
    miss.
    """

    type: Literal["kospilot-ref"] = "kospilot-ref"

    def dumps(self, obj: Any) -> bytes:
        return (
            json.dumps(asdict(obj)).encode()
            if isinstance(obj, Ref)
            else b"J" + JSONSerializer().dumps(obj)
        )

    def loads(self, blob: bytes) -> Any:
        if blob[:1] == b"J":  # the exception of a failed run
            return JSONSerializer().loads(blob[1:])
        ref = Ref(**json.loads(blob))
        store = Store(kospilot_home() / "artifacts")
        if problem := store.problem(ref.step, ref.key):
            log.warning("%s %s cannot be reused: %s", ref.step, ref.key, problem)
            raise FileNotFoundError(f"{ref.step}/{ref.key}: {problem}")
        return store.manifest(ref.step, ref.key).ref


def cached(step: str) -> dict[str, Any]:
    """The task options of a step."""
    return {
        "name": step,
        "task_run_name": step,
        "cache_policy": ArtifactPolicy(step=step),
        "result_serializer": RefSerializer(),
        "persist_result": True,
        "retry_condition_fn": _may_succeed_later,
    }


def _may_succeed_later(task: Task, run: TaskRun, state: State) -> bool:
    """Trying a wrong request again only delays its answer."""
    return not isinstance(state.data, RequestError)


def make(
    run: Run,
    step: str,
    reads: dict[str, Ref],
    build: Build,
    rebuild: Mapping[str, Build] | None = None,
) -> Ref:
    """A task's body: produces the artifact with its progress in the UI, the status file and the
    terminal.
    """
    return produce(run, step, reads, build, _Progress(run.home, step), rebuild)


class _Progress:
    """Called by the work; tells the status file and the terminal each time, Prefect every few
    seconds.
    """

    def __init__(self, home: Path, step: str):
        self._home, self._step = home, step
        self._artifact, self._told = None, 0.0

    def __call__(self, fraction: float, text: str) -> None:
        write_status(self._home, self._step, fraction, text)
        progress_log.info("%s", text, extra={"step": self._step, "fraction": fraction})
        if TaskRunContext.get() is None or (
            time.monotonic() - self._told < _UI_PERIOD_S and fraction < 1
        ):
            return
        self._told = time.monotonic()
        log.info("%s: %.0f %%, %s", self._step, 100 * fraction, text)
        if self._artifact is None:
            self._artifact = create_progress_artifact(
                100 * fraction, f"progress-{self._step}", text
            )
        else:
            update_progress_artifact(self._artifact, 100 * fraction, text)


def show_files(run: Run, ref: Ref, title: str) -> None:
    """Puts an artifact's reports (.md) and pictures (.png) into the UI, as one Markdown artifact."""
    folder = run.store.path(ref.step, ref.key)
    parts = [
        file.read_text(encoding="utf-8")
        for file in sorted(folder.glob("*.md"))
        if file.name != "README.md"
    ]
    for picture in sorted(folder.glob("*.png")):
        data = base64.b64encode(picture.read_bytes()).decode()
        parts.append(f"![{picture.stem}](data:image/png;base64,{data})")
    if parts:
        key = re.sub("[^a-z0-9-]", "-", f"{ref.step}-report")
        create_markdown_artifact("\n\n".join(parts), key, title)
