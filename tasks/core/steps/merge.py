"""merge: the base model as training saw it, with the released stage's adapter folded in."""

from typing import Any

from tasks.core.chain.step import Job, Reads, Step
from tasks.core.settings.tree import Settings
from tasks.core.steps._contents import ADAPTER


def _reads_also(settings: Settings) -> Reads:
    """The adapter of the newest stage that runs; the base model alone is released without one."""
    stage = settings.released_stage
    return {stage: ADAPTER} if stage else {}


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.release.merge import merge

    stage = job.settings.released_stage
    adapter = job.folder(stage) if stage else None
    return merge(job.folder("download") / "base", adapter, job.out, job.progress)


STEP = Step(
    name="merge",
    build=_build,
    content=("*.safetensors", "*.json", "chat_template.jinja"),
    reads={"download": ("base/*",)},
    reads_also=_reads_also,
    consults=("stages.skip",),  # the key has the adapter itself
    version=2,
    expendable=True,
    disk_of_base=1.0,
)
