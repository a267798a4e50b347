"""How Prefect sees artifacts: keys that are the store's, and results that verify themselves.

A task's result is a Ref of some 200 bytes. Prefect takes a record that fails to load for no record,
so a missing or damaged artifact is a cache miss, and the log says why. Locking is the store's
alone: a second lock here would deadlock.
"""

import json
import logging
from dataclasses import asdict, dataclass
from typing import Any, Literal

from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext
from prefect.serializers import JSONSerializer, Serializer

from tasks.core.chain.run import Run
from tasks.core.chain.store import Store
from tasks.core.records.artifacts import Ref
from tasks.core.settings.home import kospilot_home

log = logging.getLogger(__name__)


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
        return f"{step.name}-{run.recipe(step.name, inputs['reads']).key}"


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
