"""normalize: chat rows of one shape for Stage 1, and the report of what was dropped and why."""

from typing import Any

from tasks.core.chain.step import Job, Step, Surroundings
from tasks.core.steps._shipped import prompt_digest


def _outside(around: Surroundings) -> dict[str, str]:
    return {"strategy prompt": prompt_digest()}


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.data.normalize import normalize
    from tasks.core.kinds.base import system_prompt

    sources = job.folder("download") / "sources"
    return normalize(sources, system_prompt("en"), job.settings.data, job.out, job.progress)


STEP = Step(
    name="normalize",
    build=_build,
    content=("rows.parquet",),
    reads={"download": ("sources/*",)},
    settings=("data",),
    outside=_outside,
    version=3,
    report="Stage 1 rows: what came in, what was dropped and why",
)
