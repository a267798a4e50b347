"""Which engine trains a stage: the only fork between them, and why it was taken."""

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import torch
from transformers import PreTrainedConfig

from tasks.core.errors import RequestError
from tasks.core.settings.tree import Training
from tasks.core.training.engine.support import LINEAR, obstacle
from tasks.core.training.hardware.machine import Machine

_UNSLOTH_CUDA, _UNSLOTH_GB = (11, 8), 6  # the least that Unsloth's requirements name


@dataclass(frozen=True)
class Backend:
    name: Literal["engine", "unsloth", "trl"]
    why: str  # follows "because"


def choose_backend(training: Training, machine: Machine, config: PreTrainedConfig) -> Backend:
    """What training.backend asks for, or the fastest one here. Raises RequestError where it cannot
    train this.
    """
    asked = training.backend
    problems = {
        "engine": _engine_problem(training, machine, config),
        "unsloth": _unsloth_problem(machine),
        "trl": None,
    }
    if asked != "auto":
        if problems[asked]:
            raise RequestError(
                f"training.backend={asked} cannot train this: {problems[asked]}. Use training.backend=trl."
            )
        return Backend(asked, "training.backend asks for it")
    if machine.device == "cpu":
        return Backend("trl", "there is no GPU")
    if not problems["engine"]:
        return Backend("engine", f"it knows {config.model_type} models and there is a GPU")
    if not problems["unsloth"]:
        return Backend("unsloth", f"the engine cannot train this: {problems['engine']}")
    return Backend(
        "trl",
        f"the engine cannot train this: {problems['engine']}; nor unsloth: {problems['unsloth']}",
    )


def _engine_problem(training: Training, machine: Machine, config: PreTrainedConfig) -> str | None:
    if machine.compute == torch.float16:
        return f"{machine.name} does not compute in bf16"
    if training.lora_dropout:
        return f"training.lora_dropout={training.lora_dropout} is not 0"
    odd = [target for target in training.target_modules if target not in LINEAR]
    if odd:
        return (
            f"training.target_modules names {', '.join(odd)}; the engine adapts {', '.join(LINEAR)}"
        )
    return obstacle(config, training.max_length)


def _unsloth_problem(machine: Machine) -> str | None:
    """Why Unsloth cannot train here. Whether it can be imported shows only in a process that does
    it first of all.
    """
    if machine.device != "cuda":
        return "it wants a GPU, and there is none"
    if sys.platform != "linux":
        return f"it wants Linux, and this is {sys.platform}"
    cuda = torch.version.cuda
    if cuda is None or tuple(map(int, cuda.split("."))) < _UNSLOTH_CUDA:
        return f"it wants CUDA 11.8, and this PyTorch is made for {cuda}"
    if machine.memory_gib * 2**30 < _UNSLOTH_GB * 1e9:
        return f"it wants {_UNSLOTH_GB} GB of GPU memory, and {machine.name} has {machine.memory_gib:.1f} GiB"
    if find_spec("unsloth") is None:
        return "it is not installed (`uv sync --extra unsloth`)"
    return None
