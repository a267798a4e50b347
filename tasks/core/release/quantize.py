"""Quantizes an F16 GGUF with llama.cpp's llama-quantize.

Reads the F16 GGUF and writes model.gguf.
"""

import re
from pathlib import Path
from typing import Any

from tasks.core.errors import WorkError
from tasks.core.processes.child import run_child
from tasks.core.records.artifacts import Progress
from tasks.core.release.gguf import read_gguf
from tasks.core.tools import LlamaCpp


def quantize(
    gguf: Path, quantization: str, llama: LlamaCpp, out: Path, progress: Progress
) -> dict[str, Any]:
    """Writes out/model.gguf in the given quantization, e.g. Q4_K_M, and returns its metrics.

    The same input gives the same bytes. Raises WorkError if the quantizer fails, or leaves a file
    that lacks tensors.
    """
    tensors = len(read_gguf(gguf).tensors)
    target = out / "model.gguf"

    def show(line: str) -> None:
        count = re.match(r"\[\s*(\d+)/\s*(\d+)\]", line)
        if count:
            done, total = int(count[1]), int(count[2])
            progress(done / total, f"{done} / {total} tensors to {quantization}")

    try:
        run_child([llama.quantize, gguf, target, quantization], on_line=show)
    except WorkError as error:
        reason = _reason(str(error))
        raise WorkError(
            f"llama-quantize could not make {quantization} of {gguf}: {reason}"
        ) from None
    if not target.is_file():
        raise WorkError(
            f"llama-quantize ({llama.quantize}) said that it was done and wrote no {target}."
        )
    written = len(read_gguf(target).tensors)
    if written != tensors:
        raise WorkError(
            f"{target} holds {written} tensors and {gguf} {tensors}: llama-quantize did not finish."
        )
    return {
        "quantization": quantization,
        "bytes": target.stat().st_size,
        "from_bytes": gguf.stat().st_size,
    }


def _reason(output: str) -> str:
    """llama-quantize's own message; its warnings about fallbacks come first and fill the tail."""
    errors = [line for line in output.splitlines() if re.search("failed|invalid|error:", line)]
    return "; ".join(errors) or output
