"""merge, gguf and quantize (and the base model's own GGUF, to compare with), as Prefect sees them."""

import shutil
from typing import Any

from prefect import task

from tasks.artifacts import cached, make
from tasks.core.chain.produce import Job
from tasks.core.chain.run import Run
from tasks.core.chain.steps import released_stage
from tasks.core.records.artifacts import Ref
from tasks.core.release.gguf import convert
from tasks.core.release.merge import merge as merge_adapter
from tasks.core.release.quantize import quantize as quantize_gguf
from tasks.core.tools import ensure_llama_cpp


@task(**cached("merge"))
def merge(run: Run, reads: dict[str, Ref]) -> Ref:
    """The base model with the released stage's adapter folded in, shard by shard."""
    return make(run, "merge", reads, _merge)


@task(**cached("gguf"))
def gguf(run: Run, reads: dict[str, Ref]) -> Ref:
    """The merged model as F16 GGUF, by llama.cpp's own converter."""
    return make(run, "gguf", reads, _gguf, _REBUILD)


@task(**cached("quantize"))
def quantize(run: Run, reads: dict[str, Ref]) -> Ref:
    """The quantized GGUF that is released."""
    return make(run, "quantize", reads, _quantize, _REBUILD)


@task(**cached("baseline"))
def baseline(run: Run, reads: dict[str, Ref]) -> Ref:
    """The base model, untrained, in the same quantization: what the release is compared with."""
    return make(run, "baseline", reads, _baseline)


def _merge(job: Job) -> dict[str, Any]:
    stage = released_stage(job.run.settings)
    adapter = job.folder(stage) if stage else None
    return merge_adapter(job.folder("download") / "base", adapter, job.out, job.progress)


def _gguf(job: Job) -> dict[str, Any]:
    return convert(
        job.folder("merge"), ensure_llama_cpp(job.run.home, job.progress), job.out, job.progress
    )


def _quantize(job: Job) -> dict[str, Any]:
    llama = ensure_llama_cpp(job.run.home, job.progress)
    quantization = job.run.settings.release.quantization
    return quantize_gguf(
        job.folder("gguf") / "model-f16.gguf", quantization, llama, job.out, job.progress
    )


def _baseline(job: Job) -> dict[str, Any]:
    llama = ensure_llama_cpp(job.run.home, job.progress)
    workplace = job.out / "f16"
    workplace.mkdir()
    convert(job.folder("download") / "base", llama, workplace, job.progress)
    quantization = job.run.settings.release.quantization
    metrics = quantize_gguf(
        workplace / "model-f16.gguf", quantization, llama, job.out, job.progress
    )
    shutil.rmtree(workplace)
    return metrics


_REBUILD = {"merge": _merge, "gguf": _gguf}
