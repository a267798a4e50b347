"""imatrix: which columns of the released model's weights matter most, from its training rows."""

from typing import Any

from tasks.core.chain.step import Job, Reads, Step
from tasks.core.settings.tree import Settings
from tasks.core.steps._quantizing import IMATRIX


def _rows(settings: Settings) -> Reads:
    """The rows of the released stage: Stage 3's pairs are made from those of Stage 2."""
    if settings.released_stage == "stage1":
        return {"normalize": ("rows.parquet",)}
    return {"synthesize": ("rows.jsonl",)}


def _runs(settings: Settings) -> bool:
    release = settings.release
    return any(release.uses_imatrix(name) for name in (release.quantization, *release.also))


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.release.imatrix import compute_imatrix

    (step,) = _rows(job.settings)
    (file,) = job.reads[step]
    rows = job.folder(step) / file
    whole = job.folder("gguf") / "model-f16.gguf"
    target = job.out / IMATRIX
    return compute_imatrix(job.folder("merge"), whole, rows, target, job.progress)


STEP = Step(
    name="imatrix",
    build=_build,
    content=(IMATRIX,),
    reads={"merge": ("*",), "gguf": ("model-f16.gguf",)},
    reads_also=_rows,
    consults=("stages.skip",),  # the key has the rows themselves
    runs=_runs,
)
