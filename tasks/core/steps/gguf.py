"""gguf: the merged model as F16 GGUF, made by llama.cpp's own converter."""

from typing import Any

from tasks.core.chain.step import Job, Step


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.release.gguf import convert
    from tasks.core.tools import ensure_llama_cpp

    merged = job.folder("merge")
    llama = ensure_llama_cpp(job.home, job.progress)
    return convert(merged, llama, job.out, job.progress)


STEP = Step(
    name="gguf",
    build=_build,
    content=("model-f16.gguf",),
    reads={"merge": ("*",)},
    expendable=True,
    disk_of_base=1.0,
)
