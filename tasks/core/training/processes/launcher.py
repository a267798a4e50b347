"""`python -m tasks.core.training.processes.launcher CARDS SPEC`: a training process for each card.

torchrun starts them. All of them end when one fails, and the launcher ends with the exit code of
the one that failed. If a card was full it starts all of them again, which then train with less.
"""

import logging
import os
import sys
from typing import NoReturn

import torch
from torch.distributed import run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from tasks.core.processes.child import exec_python
from tasks.core.training.hardware import ranks

AGAIN = 75
"""Exit code of a process whose card was full, after it wrote down what the next try gives up."""


def launch(cards: int, spec: str) -> NoReturn:
    """Turns this process into the launcher, which holds none of the cards' memory."""
    # each process picks its own card before any library looks for cards
    every_card = ",".join(str(card) for card in range(torch.cuda.device_count()))
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", every_card)
    exec_python("-m", "tasks.core.training.processes.launcher", str(cards), spec)


def main(cards: str, spec: str) -> int:
    """Runs the training processes until none of them wants another try; returns the exit code."""
    logging.disable(logging.CRITICAL)  # torchrun's words would bury the training's own error
    os.environ[ranks.LAUNCHER] = str(os.getpid())
    options = [
        "--standalone",
        f"--nproc-per-node={cards}",
        f"--log-dir={os.devnull}",  # torchrun would leave a folder
    ]
    command = run.parse_args([*options, "-m", "tasks.core.training", spec])
    while True:
        try:
            run.run(command)
            return 0
        except SignalException as error:
            message = "error: Interrupted; the next run goes on from the last checkpoint."
            print(message, file=sys.stderr)
            return 128 + error.sigval
        except ChildFailedError as error:
            codes = [failure.exitcode for failure in error.failures.values()]
        if AGAIN not in codes:
            return _exit_code(codes)


def _exit_code(codes: list[int]) -> int:
    """Returns the highest code of several that failed at once.

    2 says more than 1, which may only say that another process is gone.
    """
    if max(codes) > 0:
        return max(codes)
    print(f"error: A training process was ended by signal {-codes[0]}.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
