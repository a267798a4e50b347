"""Quantizes an F16 GGUF with llama.cpp's llama-quantize. Writes model.gguf."""

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
    """Writes out/model.gguf in the given quantization, e.g. Q4_K_M. The same input gives the same
    bytes.
    """
    before = len(read_gguf(gguf).tensors)
    target = out / "model.gguf"

    def show(line: str) -> None:
        if found := re.match(r"\[\s*(\d+)/\s*(\d+)\]", line):
            done, total = map(int, found.groups())
            progress(done / total, f"{done} / {total} tensors to {quantization}")

    try:
        run_child([llama.quantize, gguf, target, quantization], on_line=show)
    except WorkError as error:
        raise WorkError(
            f"llama-quantize could not make {quantization} of {gguf}: {_reason(str(error))}"
        ) from None
    if not target.is_file():
        raise WorkError(
            f"llama-quantize ({llama.quantize}) said that it was done and wrote no {target}."
        )
    after = len(read_gguf(target).tensors)
    if after != before:
        raise WorkError(
            f"{target} holds {after} tensors and {gguf} {before}: llama-quantize did not finish."
        )
    return {
        "quantization": quantization,
        "bytes": target.stat().st_size,
        "from_bytes": gguf.stat().st_size,
    }


def _reason(text: str) -> str:
    """llama-quantize's own message; its warnings about fallbacks come first and fill the tail."""
    said = [line for line in text.splitlines() if re.search("failed|invalid|error:", line)]
    return "; ".join(said) or text
