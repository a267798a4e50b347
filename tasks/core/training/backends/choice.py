"""Which backend trains a stage: the only fork between them, and why it was taken."""

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import torch
from transformers import PreTrainedConfig

from tasks.core.errors import RequestError
from tasks.core.settings.tree import Training
from tasks.core.training.engine.support import LINEAR, find_obstacle
from tasks.core.training.hardware.machine import Machine

# the least version and memory that Unsloth's requirements name
_UNSLOTH_CUDA = (11, 8)
_UNSLOTH_GB = 6


@dataclass(frozen=True)
class Backend:
    """The backend that trains, and why it does."""

    name: Literal["engine", "unsloth", "trl"]
    why: str  # follows "because"


def choose_backend(training: Training, machine: Machine, config: PreTrainedConfig) -> Backend:
    """Returns the backend that training.backend asks for, or the fastest one here.

    Raises RequestError if the one that is asked for cannot train this.
    """
    if training.backend == "auto":
        return _fastest(training, machine, config)
    problem = None
    if training.backend == "engine":
        problem = _engine_problem(training, machine, config)
    if training.backend == "unsloth":
        problem = _unsloth_problem(machine)
    if problem:
        raise RequestError(
            f"training.backend={training.backend} cannot train this: {problem}."
            " Use training.backend=trl."
        )
    return Backend(training.backend, "training.backend asks for it")


def _fastest(training: Training, machine: Machine, config: PreTrainedConfig) -> Backend:
    if machine.device == "cpu":
        return Backend("trl", "there is no GPU")
    of_engine = _engine_problem(training, machine, config)
    if not of_engine:
        return Backend("engine", f"it knows {config.model_type} models and there is a GPU")
    why = f"the engine cannot train this: {of_engine}"
    of_unsloth = _unsloth_problem(machine)
    if not of_unsloth:
        return Backend("unsloth", why)
    return Backend("trl", f"{why}; nor unsloth: {of_unsloth}")


def _engine_problem(training: Training, machine: Machine, config: PreTrainedConfig) -> str | None:
    """Returns why the engine cannot train here; None if it can."""
    if machine.compute == torch.float16:
        return f"{machine.name} does not compute in bf16"
    if training.lora_dropout:
        return f"training.lora_dropout={training.lora_dropout} is not 0"
    others = [target for target in training.target_modules if target not in LINEAR]
    if others:
        return (
            f"training.target_modules names {', '.join(others)};"
            f" the engine adapts {', '.join(LINEAR)}"
        )
    return find_obstacle(config, training.max_length)


def _unsloth_problem(machine: Machine) -> str | None:
    """Returns why Unsloth cannot train here; None if it can.

    Whether it can be imported shows only in a process that imports it before anything else.
    """
    if machine.device != "cuda":
        return "it wants a GPU, and there is none"
    if sys.platform != "linux":
        return f"it wants Linux, and this is {sys.platform}"
    cuda = torch.version.cuda
    if cuda is None or tuple(map(int, cuda.split("."))) < _UNSLOTH_CUDA:
        return f"it wants CUDA 11.8, and this PyTorch is made for {cuda}"
    if machine.memory_gib * 2**30 < _UNSLOTH_GB * 1e9:
        return (
            f"it wants {_UNSLOTH_GB} GB of GPU memory,"
            f" and {machine.name} has {machine.memory_gib:.1f} GiB"
        )
    if find_spec("unsloth") is None:
        return "it is not installed (`uv sync --extra unsloth`)"
    return None
