"""An importance matrix, computed by a process of its own, which gives back a GPU's memory.

Reads a model folder, its F16 GGUF and a file of training rows; writes one file for llama-quantize.
"""

import sys
from pathlib import Path
from typing import Any

from tasks.core.processes.reporting import QUIET_WAITS, run_reporting
from tasks.core.records.artifacts import Progress

_PROGRAM = "tasks.core.release.importance"
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}


def compute_imatrix(
    model: Path, f16: Path, rows: Path, target: Path, progress: Progress
) -> dict[str, Any]:
    """Writes the matrix to `target` and returns its metrics: rows, tokens, tensors.

    Raises WorkError with the program's own words.
    """
    command = [sys.executable, "-m", _PROGRAM, str(model), str(f16), str(rows), str(target)]
    return run_reporting(command, progress, {**_OFFLINE, **QUIET_WAITS})
