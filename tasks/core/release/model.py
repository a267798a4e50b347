"""A model as one quantized GGUF, by the same three functions that the release's steps call.

Reads a base model's folder and an adapter's folder; writes model.gguf. The chain serves two models
besides the one that it releases: the untrained base, which the release is compared with, and the
Stage 2 model, whose mistakes Stage 3 learns from.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.core.records.artifacts import Progress
from tasks.core.records.training_base import TrainingBase
from tasks.core.release.base_weights import is_quantized
from tasks.core.release.gguf import convert
from tasks.core.release.imatrix import compute_imatrix
from tasks.core.release.merge import merge
from tasks.core.release.quantization import Quantization
from tasks.core.release.quantize import quantize
from tasks.core.tools import LlamaCpp

_SCRATCH = "making"


@dataclass(frozen=True)
class Model:
    """A base model's folder, and the folder of the adapter that was trained on it, if any."""

    base: Path
    adapter: Path | None = None

    trained_on: TrainingBase | None = None
    """What the adapter was trained on, if its own folder does not say so."""

    rows: Path | None = None
    """Training rows to compute an importance matrix from; None: quantized without one."""


@dataclass(frozen=True)
class Parts:
    """What a release is made of, from the merged model to the quantized one."""

    merged: Path
    f16: Path
    gguf: Path
    metrics: dict[str, Any]  # of the quantization

    def remove_intermediates(self) -> None:
        """Leaves the quantized file alone; the others take twice the base's size in 16 bit."""
        shutil.rmtree(self.merged)
        self.f16.unlink()


def build_gguf(
    model: Model, quantization: str, llama: LlamaCpp, out: Path, progress: Progress
) -> dict[str, Any]:
    """Writes out/model.gguf and returns its metrics; `progress` runs from 0 to 1 for each part.

    A finished model.gguf is taken as it is. Everything else is made in a scratch folder inside
    `out`, which is gone afterwards, and which is emptied first if an interrupted attempt left it.
    Raises WorkError.
    """
    target = out / "model.gguf"
    scratch = out / _SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    if target.exists():
        return {"quantization": quantization, "bytes": target.stat().st_size}
    scratch.mkdir()
    parts = build_parts(model, quantization, llama, scratch, progress)
    parts.gguf.replace(target)
    shutil.rmtree(scratch)
    return parts.metrics


def build_parts(
    model: Model, quantization: str, llama: LlamaCpp, out: Path, progress: Progress
) -> Parts:
    """Writes everything between a model and its quantized file into a folder, and keeps it all.

    `progress` runs from 0 to 1 for each part. Raises WorkError.
    """
    merged = _merged(model, out, progress)
    convert(merged, llama, out, progress)
    f16 = out / "model-f16.gguf"
    matrix = None
    if model.rows:
        matrix = out / "imatrix.gguf"
        compute_imatrix(merged, f16, model.rows, matrix, progress)
    gguf = out / "model.gguf"
    how = Quantization(quantization, matrix)
    metrics = quantize(gguf, f16, how, llama, progress)
    return Parts(merged, f16, gguf, metrics)


def _merged(model: Model, scratch: Path, progress: Progress) -> Path:
    """The folder of the model in 16 bit with its adapter folded in: the base's own if it is that
    already.
    """
    if model.adapter is None and not is_quantized(model.base):
        return model.base
    merged = scratch / "merged"
    merged.mkdir()
    merge(model.base, model.adapter, merged, progress, model.trained_on)
    return merged
