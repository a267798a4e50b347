"""Several cards as one: a process per card trains its share of each step's rows.

Their gradients are added up. Every process reads the same rows in the same order and takes the same
steps, so a step is the same as on one card. The first process alone writes, except for tries.json,
which another one writes if its card is full. Neither transformers nor accelerate know of the other
processes: to them each process is alone.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

import torch
import torch.distributed as dist

from tasks.core.errors import RequestError, WorkError
from tasks.core.processes.child import end_with_parent

_Result = TypeVar("_Result")
LAUNCHER = "KOSPILOT_LAUNCHER"
"""Environment variable with the process id of launcher.py, which may be gone before a process that
it started asks.
"""
_TORCHRUN_VARIABLES = (
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "GROUP_RANK",
    "GROUP_WORLD_SIZE",
)
# NCCL's own ten minutes are too few while the others wait for the first process, which may have to
# make millions of rows tokens
_PATIENCE = timedelta(hours=1)


@dataclass(frozen=True)
class _Outcome(Generic[_Result]):
    """What the first process came to: a result, or the error that it raised."""

    result: _Result | None = None
    error: RequestError | WorkError | None = None


def launched() -> bool:
    """Returns whether launcher.py started this process, as one of several."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def join() -> None:
    """Joins the other processes that were started; each of them sees only one card."""
    # torchrun's processes would outlive it if it is killed outright
    end_with_parent(int(os.environ.get(LAUNCHER, os.getppid())))
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=_PATIENCE)
    for name in (LAUNCHER, *_TORCHRUN_VARIABLES):
        os.environ.pop(name, None)


def number() -> int:
    """Returns the number of this process, from 0; process 0 writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """Returns how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def from_first(find: Callable[[], _Result]) -> _Result:
    """Returns what the first process finds; the others wait for it and do not look themselves.

    A RequestError or WorkError of the first process is raised in all of them.
    """
    if not dist.is_initialized():
        return find()
    outcome: list[Any] = [None]
    if number() == 0:
        outcome[0] = _outcome_of(find)
    dist.broadcast_object_list(outcome)
    if outcome[0].error:
        raise outcome[0].error
    return outcome[0].result


def _outcome_of(find: Callable[[], _Result]) -> _Outcome[_Result]:
    """Returns what `find` returned, or the error that it raised."""
    try:
        return _Outcome(result=find())
    except (RequestError, WorkError) as error:
        return _Outcome(error=error)


def add_up(tensor: torch.Tensor) -> torch.Tensor:
    """Makes the tensor the sum of all processes' tensors, in place, and returns it."""
    if dist.is_initialized():
        dist.all_reduce(tensor)
    return tensor


def add_up_gradients(weights: Sequence[torch.nn.Parameter]) -> None:
    """Makes every weight's gradient the sum of all processes' gradients.

    A process that has no rows in a step has no gradient of its own.
    """
    if not dist.is_initialized():
        return
    gradients = []
    for weight in weights:
        own = torch.zeros_like(weight) if weight.grad is None else weight.grad
        gradients.append(own.flatten())
    whole = add_up(torch.cat(gradients))  # hundreds of small sums take 6 times as long
    sizes = [weight.numel() for weight in weights]
    for weight, summed in zip(weights, whole.split(sizes), strict=True):
        weight.grad = summed.view_as(weight)


def leave() -> None:
    """Leaves the other processes. Without this call torch complains at the end."""
    if dist.is_initialized():
        dist.destroy_process_group()
