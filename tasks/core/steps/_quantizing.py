"""What the steps that quantize the release share: `quantize` and `also`."""

from typing import Any

from tasks.core.chain.step import Job, Reads
from tasks.core.records.artifacts import Progress
from tasks.core.settings.tree import Settings

IMATRIX = "imatrix.gguf"


def imatrix_reads(settings: Settings, *quantizations: str) -> Reads:
    """The importance matrix, if one of these quantizations is made with it."""
    if any(settings.release.uses_imatrix(name) for name in quantizations):
        return {"imatrix": (IMATRIX,)}
    return {}


def make(job: Job, quantization: str, file: str, progress: Progress) -> dict[str, Any]:
    """Quantizes the release's F16 GGUF into a file of the job's folder; returns the metrics."""
    from tasks.core.release.quantization import Quantization
    from tasks.core.release.quantize import quantize
    from tasks.core.tools import ensure_llama_cpp

    whole = job.folder("gguf") / "model-f16.gguf"
    release = job.settings.release
    imatrix = None
    if "imatrix" in job.reads and release.uses_imatrix(quantization):
        imatrix = job.folder("imatrix") / IMATRIX
    types = {} if quantization == "F16" else release.tensor_types
    llama = ensure_llama_cpp(job.home, progress)
    how = Quantization(quantization, imatrix, types)
    return quantize(job.out / file, whole, how, llama, progress)
