"""Which engine trains a stage: the only fork between them, and why it was taken."""

from dataclasses import dataclass
from typing import Literal

import torch
from transformers import PreTrainedConfig

from tasks.core.errors import RequestError
from tasks.core.settings import Training
from tasks.core.training.engine.decoder import LINEAR, obstacle
from tasks.core.training.machine import Machine


@dataclass(frozen=True)
class Backend:
    name: Literal["engine", "trl"]
    why: str  # follows "because"


def choose_backend(training: Training, machine: Machine, config: PreTrainedConfig) -> Backend:
    """What training.backend asks for, or the fastest one here. Raises RequestError where it cannot train this."""
    if training.backend == "trl":
        return Backend("trl", "training.backend asks for it")
    problem = _problem(training, machine, config)
    if training.backend == "engine":
        if problem:
            raise RequestError(f"training.backend=engine cannot train this: {problem}. Use training.backend=trl.")
        return Backend("engine", "training.backend asks for it")
    if problem:
        return Backend("trl", problem)
    if machine.device == "cpu":
        return Backend("trl", "there is no GPU")
    return Backend("engine", f"it knows {config.model_type} models and there is a GPU")


def _problem(training: Training, machine: Machine, config: PreTrainedConfig) -> str | None:
    if machine.compute == torch.float16:
        return f"{machine.name} does not compute in bf16"
    if training.lora_dropout:
        return f"training.lora_dropout={training.lora_dropout} is not 0"
    odd = [target for target in training.target_modules if target not in LINEAR]
    if odd:
        return f"training.target_modules names {', '.join(odd)}; the engine adapts {', '.join(LINEAR)}"
    return obstacle(config, training.max_length)
