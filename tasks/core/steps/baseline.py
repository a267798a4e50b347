"""baseline: the untrained base model in the release's quantization, to compare the release with."""

from typing import Any

from tasks.core.chain.step import Job, Step
from tasks.core.records.quantizations import share_of_base


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.release.model import Model, build_gguf
    from tasks.core.tools import ensure_llama_cpp

    model = Model(job.folder("download") / "base")
    llama = ensure_llama_cpp(job.home, job.progress)
    return build_gguf(model, job.settings.release.quantization, llama, job.out, job.progress)


STEP = Step(
    name="baseline",
    build=_build,
    content=("model.gguf",),
    reads={"download": ("base/*",)},
    settings=("release.quantization",),
    runs=lambda settings: settings.evaluation.baseline,
    disk_of_base=1.0,  # its F16 file
    disk_also=lambda settings: share_of_base(settings.release.quantization),
)
