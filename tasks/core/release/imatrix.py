"""An importance matrix, computed by a process of its own, which gives back a GPU's memory.

Reads a model folder, its F16 GGUF and a file of training rows; writes one file for llama-quantize.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tasks.core.processes.child import run_kospilot_program
from tasks.core.records.artifacts import Progress

_PROGRAM = "tasks.core.release.importance"
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TQDM_DISABLE": "1",
    "OMP_WAIT_POLICY": "passive",  # spinning threads take three times the time on a busy machine
}


def compute_imatrix(
    model: Path, f16: Path, rows: Path, target: Path, progress: Progress
) -> dict[str, Any]:
    """Writes the matrix to `target` and returns its metrics: rows, tokens, tensors.

    Raises WorkError with the program's own words.
    """
    metrics: dict[str, Any] = {}

    def hear(line: str) -> None:
        told = _parse(line)
        if "share" in told:
            progress(told["share"], told["text"])
        else:
            metrics.update(told)

    command = [sys.executable, "-m", _PROGRAM, str(model), str(f16), str(rows), str(target)]
    run_kospilot_program(command, hear, _ENVIRONMENT)
    return metrics


def _parse(line: str) -> dict[str, Any]:
    """What the program tells: a JSON object a line; other lines are its libraries'."""
    if not line.startswith("{"):
        return {}
    try:
        told: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return told
