"""Several cards as one. A process per card trains its share of each step's rows; their gradients are added up.

Every process reads the same rows in the same order and takes the same steps, so a step is what it is on one card. The
first one alone writes. Neither transformers nor accelerate know of the others: to them each process is alone.
"""

import os
import sys
from collections.abc import Iterable

import torch
import torch.distributed as dist

from tasks.core.training.engine.packs import spread

_LAUNCHER = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE")


def launched() -> bool:
    """torchrun started this process, as one of several."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def launch(cards: int, module: str, arguments: list[str]) -> None:
    """Becomes torchrun, which starts this module once per card and ends all when one fails. Does not return."""
    every = ",".join(str(card) for card in range(torch.cuda.device_count()))
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", every)  # each process picks its own before any library looks
    command = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={cards}", "-m", module, *arguments]
    os.execv(sys.executable, [sys.executable, *command])


def join() -> None:
    """Joins the processes that torchrun started; each sees one card only."""
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    for name in _LAUNCHER:
        os.environ.pop(name, None)


def number() -> int:
    """Of this process; 0 writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """Processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def share(lengths: list[int]) -> list[int]:
    """The places of this process's rows among a step's rows of these lengths."""
    shares = spread(lengths, count())
    return shares[number()] if number() < len(shares) else []


def add_up(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of all processes' tensors, in place."""
    if dist.is_initialized():
        dist.all_reduce(tensor)
    return tensor


def add_up_gradients(weights: Iterable[torch.nn.Parameter]) -> None:
    """Every weight's gradient becomes the sum of all processes'; one without rows has none of its own."""
    if not dist.is_initialized():
        return
    waiting = []
    for weight in weights:
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        waiting.append(dist.all_reduce(weight.grad, async_op=True))
    for work in waiting:
        work.wait()


def leave() -> None:
    """To be called at the end, or torch complains."""
    if dist.is_initialized():
        dist.destroy_process_group()
