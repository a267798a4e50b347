"""quantize: the quantized GGUF that is released, made by llama.cpp's llama-quantize."""

from typing import Any

from tasks.core.chain.step import Job, Reads, Step
from tasks.core.records.quantizations import share_of_base
from tasks.core.settings.tree import Settings
from tasks.core.steps._quantizing import imatrix_reads, make


def _reads_also(settings: Settings) -> Reads:
    return imatrix_reads(settings, settings.release.quantization)


def _build(job: Job) -> dict[str, Any]:
    return make(job, job.settings.release.quantization, "model.gguf", job.progress)


STEP = Step(
    name="quantize",
    build=_build,
    content=("model.gguf",),
    reads={"gguf": ("model-f16.gguf",)},
    reads_also=_reads_also,
    settings=("release.quantization", "release.tensor_types"),
    consults=("release.imatrix",),  # the key has the matrix itself
    disk_also=lambda settings: share_of_base(settings.release.quantization),
)
