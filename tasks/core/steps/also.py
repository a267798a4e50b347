"""also: the release in further quantizations, which lie beside the one that is served."""

from typing import Any

from tasks.core.chain.step import Job, Reads, Step
from tasks.core.records.artifacts import stretch_of
from tasks.core.records.quantizations import share_of_base
from tasks.core.settings.tree import Settings
from tasks.core.steps._quantizing import imatrix_reads, make


def _reads_also(settings: Settings) -> Reads:
    return imatrix_reads(settings, *settings.release.also)


def _build(job: Job) -> dict[str, Any]:
    names = job.settings.release.also
    made: dict[str, Any] = {}
    for number, name in enumerate(names):
        report = stretch_of(job.progress, number / len(names), 1 / len(names))
        made[name] = make(job, name, f"model-{name}.gguf", report)
    return made


STEP = Step(
    name="also",
    build=_build,
    content=("model-*.gguf",),
    reads={"gguf": ("model-f16.gguf",)},
    reads_also=_reads_also,
    settings=("release.also", "release.tensor_types"),
    consults=("release.imatrix",),  # the key has the matrix itself
    runs=lambda settings: bool(settings.release.also),
    disk_also=lambda settings: sum(map(share_of_base, settings.release.also)),
)
