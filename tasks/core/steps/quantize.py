"""quantize: the quantized GGUF that is released, made by llama.cpp's llama-quantize."""

from typing import Any

from tasks.core.chain.step import Job, Step


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.release.quantize import quantize
    from tasks.core.tools import ensure_llama_cpp

    whole = job.folder("gguf") / "model-f16.gguf"
    llama = ensure_llama_cpp(job.home, job.progress)
    return quantize(whole, job.settings.release.quantization, llama, job.out, job.progress)


STEP = Step(
    name="quantize",
    build=_build,
    content=("model.gguf",),
    reads={"gguf": ("model-f16.gguf",)},
    settings=("release.quantization",),
    disk_of_base=0.35,  # Q4_K_M is 0.3 of the 16-bit model
)
