"""Several cards as one. A process per card trains its share of each step's rows; their gradients
are added up.

Every process reads the same rows in the same order and takes the same steps, so a step is what it
is on one card. The first one alone writes, but for oom.py where another one's card is full. Neither
transformers nor accelerate know of the others: to them each process is alone.
"""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from tasks.core.errors import RequestError, WorkError
from tasks.core.processes.child import die_with
from tasks.core.training.rows.sequences import spread

_T = TypeVar("_T")
LAUNCHER = "KOSPILOT_LAUNCHER"
"""Environment variable with the process id of launcher.py, which may be gone before a process that
it started asks.
"""
_TOLD = (
    LAUNCHER,
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "GROUP_RANK",
    "GROUP_WORLD_SIZE",
)


def launched() -> bool:
    """launcher.py started this process, as one of several."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def join() -> None:
    """Joins the others that were started; each sees one card only."""
    die_with(
        int(os.environ.get(LAUNCHER, os.getppid()))
    )  # torchrun's processes outlive it when it is killed outright
    # NCCL's own ten minutes are too few where the others wait until the first one has made millions
    # of rows tokens
    dist.init_process_group(
        "nccl" if torch.cuda.is_available() else "gloo", timeout=timedelta(hours=1)
    )
    for name in _TOLD:
        os.environ.pop(name, None)


def number() -> int:
    """Of this process; 0 writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """Processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def from_first(find: Callable[[], _T]) -> _T:
    """What the first process finds; the others wait for it and do not look. Our own errors are
    raised in all.
    """
    if not dist.is_initialized():
        return find()
    told = [None, None]
    if number() == 0:
        try:
            told[0] = find()
        except (RequestError, WorkError) as error:
            told[1] = error
    dist.broadcast_object_list(told)
    if told[1]:
        raise told[1]
    return told[0]


def share(weights: list[int]) -> list[int]:
    """The places of this process's rows among a step's rows of these weights."""
    shares = spread(weights, count())
    return shares[number()] if number() < len(shares) else []


def add_up(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of all processes' tensors, in place."""
    if dist.is_initialized():
        dist.all_reduce(tensor)
    return tensor


def add_up_gradients(weights: list[torch.nn.Parameter]) -> None:
    """Every weight's gradient becomes the sum of all processes'; one without rows has none of its
    own.
    """
    if not dist.is_initialized():
        return
    own = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
    summed = add_up(
        torch.cat([gradient.flatten() for gradient in own])
    )  # hundreds of small sums take 6 times as long
    for weight, gradient in zip(
        weights, summed.split([weight.numel() for weight in weights]), strict=True
    ):
        weight.grad = gradient.view_as(weight)


def leave() -> None:
    """To be called at the end, or torch complains."""
    if dist.is_initialized():
        dist.destroy_process_group()
