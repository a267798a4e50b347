"""A process that others take for one on another machine."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def on_another_machine(program: str, folder: Path, says: str) -> Iterator[subprocess.Popen[str]]:
    """Runs a Python program on the machine gpu-1, from its first line until the block ends.

    It gets the folder as its argument, and has to begin with the line `says`.
    """
    env = {**os.environ, "KOSPILOT_HOST": "gpu-1"}
    command = [sys.executable, "-c", program, folder]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == f"{says}\n"
            yield process
        finally:
            process.kill()
