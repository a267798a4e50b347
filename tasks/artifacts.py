"""How Prefect sees artifacts: keys that are the store's, results that verify themselves, progress.

A task's result is a Ref of some 200 bytes. Prefect takes a record that fails to load for no record,
so a missing or damaged artifact is a cache miss, and the log says why. Locking is the store's
alone: a second lock here would deadlock.
"""

import base64
import json
import logging
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext
from prefect.serializers import JSONSerializer, Serializer

from tasks.core.chain.plan import recipe_of
from tasks.core.chain.run import Run
from tasks.core.chain.status import write_status
from tasks.core.chain.store import Store
from tasks.core.records.artifacts import Ref
from tasks.core.settings.home import kospilot_home

log = logging.getLogger(__name__)
progress_log = logging.getLogger("tasks.progress")

_UI_PERIOD_S = 5.0  # between two updates of a progress artifact: each is a request to the server


@dataclass
class ArtifactPolicy(CachePolicy):
    """The cache key is the artifact's key.

    There is none for a step whose hit the model server must confirm.
    """

    step: str = ""

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: Any,
    ) -> str | None:
        """The step's name and its artifact's key, from the run and the references it reads."""
        run: Run = inputs["run"]
        step = run.steps[self.step]
        if step.served is not None:
            return None
        return f"{step.name}-{recipe_of(step, run.world(), inputs['reads']).key}"


class RefSerializer(Serializer):
    """Refs as JSON. Loading one whose artifact is gone or damaged fails: to Prefect, a miss."""

    type: Literal["kospilot-ref"] = "kospilot-ref"

    def dumps(self, obj: Any) -> bytes:
        """The reference as JSON; the exception of a failed run as Prefect writes it, after a J."""
        if isinstance(obj, Ref):
            return json.dumps(asdict(obj)).encode()
        return b"J" + JSONSerializer().dumps(obj)

    def loads(self, blob: bytes) -> Any:
        """The reference, if its artifact is intact. Raises FileNotFoundError otherwise."""
        if blob[:1] == b"J":
            return JSONSerializer().loads(blob[1:])
        ref = Ref(**json.loads(blob))
        store = Store(kospilot_home() / "artifacts")
        problem = store.problem(ref.step, ref.key)
        if problem:
            log.warning("%s %s cannot be reused: %s", ref.step, ref.key, problem)
            raise FileNotFoundError(f"{ref.step}/{ref.key}: {problem}")
        return store.known(ref.step, ref.key).ref


class Progress:
    """Tells the status file and the terminal how far a step is, and Prefect every few seconds."""

    def __init__(self, home: Path, step: str):
        self._home = home
        self._step = step
        self._artifact: UUID | None = None
        self._updated = 0.0

    def __call__(self, fraction: float, text: str) -> None:
        """fraction: the share done, 0..1; text: the rest, with units."""
        write_status(self._home, self._step, fraction, text)
        progress_log.info("%s", text, extra={"step": self._step, "fraction": fraction})
        if TaskRunContext.get() is not None and self._is_due(fraction):
            self._show(fraction, text)

    def _is_due(self, fraction: float) -> bool:
        return fraction >= 1 or time.monotonic() - self._updated >= _UI_PERIOD_S

    def _show(self, fraction: float, text: str) -> None:
        self._updated = time.monotonic()
        log.info("%s: %.0f %%, %s", self._step, 100 * fraction, text)
        if self._artifact is None:
            key = f"progress-{self._step}"
            artifact = create_progress_artifact(100 * fraction, key, text)
            assert isinstance(artifact, UUID)  # it would be a coroutine in an asynchronous flow
            self._artifact = artifact
        else:
            update_progress_artifact(self._artifact, 100 * fraction, text)


def show_files(run: Run, ref: Ref, title: str) -> None:
    """Puts an artifact's reports (.md) and pictures (.png) into the UI, in one Markdown text."""
    folder = run.store.path(ref.step, ref.key)
    parts = []
    for report in sorted(folder.glob("*.md")):
        if report.name != "README.md":
            parts.append(report.read_text(encoding="utf-8"))
    for picture in sorted(folder.glob("*.png")):
        data = base64.b64encode(picture.read_bytes()).decode()
        parts.append(f"![{picture.stem}](data:image/png;base64,{data})")
    if parts:
        key = re.sub("[^a-z0-9-]", "-", f"{ref.step}-report")
        create_markdown_artifact("\n\n".join(parts), key, title)
