"""How a stage's trainer is put together: the machine, the backend, the engine's plan, the policy.

Reads the base model and the adapter that the stage starts from.
"""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from tasks.core.settings.tree import Training
from tasks.core.training.backends.choice import Backend, choose_backend
from tasks.core.training.backends.cpu_kernel import use_on_cpu
from tasks.core.training.backends.engine import engine_trainer
from tasks.core.training.backends.run import StageRun
from tasks.core.training.backends.stage_trainer import StageTrainer
from tasks.core.training.backends.trl import dpo_trainer, sft_trainer
from tasks.core.training.hardware.machine import Machine, find_machine, limit_memory
from tasks.core.training.planning.plan import Plan
from tasks.core.training.planning.planner import plan_stage
from tasks.core.training.policy.base_model import comes_quantized, read_config
from tasks.core.training.policy.loading import check_library, load_fast_policy, load_policy
from tasks.core.training.processes.full_card import Try
from tasks.core.training.spec import TrainingSpec, settings_of

log = logging.getLogger(__name__)


def backend_of(spec: TrainingSpec) -> Backend:
    """Returns what trains this stage on this machine, before any row is read."""
    return choose_backend(settings_of(spec).training, find_machine(), read_config(Path(spec.base)))


def count_cards(spec: TrainingSpec) -> int:
    """Returns how many GPUs train this stage together.

    If the engine can train it, these are all that there are, up to training.cards; else one.
    """
    settings = settings_of(spec)
    most = settings.training.cards or sys.maxsize
    cards = min(torch.cuda.device_count(), settings.schedule.effective_batch, most)
    if cards > 1 and backend_of(spec).name == "engine":
        return cards
    return 1


def prepare_machine(training: Training) -> Machine:
    """Returns this machine, ready to train within training.memory_gib.

    Raises RequestError if a library is missing.
    """
    machine = find_machine()
    check_library(machine)
    if machine.device == "cpu":
        use_on_cpu()
    elif training.memory_gib:
        limit_memory(training.memory_gib)
    return machine


def plan_for(
    spec: TrainingSpec, tried: Try, machine: Machine, limits: Mapping[str, Any]
) -> Plan | None:
    """Returns the engine's plan, or None if another backend trains.

    `limits` is what earlier tries gave up (full_card.collect_given_up).
    """
    config = read_config(Path(spec.base))
    training = tried.settings.training
    if comes_quantized(config) and training.quantize_base == "none":
        log.warning(
            "The base comes as NF4 and is trained on as it comes: training.quantize_base=none"
            " changes nothing."
        )
    backend = choose_backend(training, machine, config)
    log.info("backend: %s, because %s", backend.name, backend.why)
    if backend.name != "engine":
        return None
    plan = plan_stage(config, tried.rows.train, tried.settings, machine, limits)
    log.info("plan: %s", plan)
    return plan


def make_trainer(
    spec: TrainingSpec, tokenizer: PreTrainedTokenizerFast, tried: Try, machine: Machine
) -> StageTrainer:
    """Makes the engine's trainer if there is a plan, else TRL's, under Unsloth or not."""
    base = Path(spec.base)
    start = Path(spec.start) if spec.start else None
    settings = tried.settings
    run = StageRun(settings, Path(spec.out), machine, tried.plan)
    if tried.plan is not None:
        policy = load_policy(base, start, settings.training, machine, tried.plan.nf4)
        return engine_trainer(policy, tokenizer, tried.rows, run)
    backend = backend_of(spec).name
    if backend == "unsloth":
        checkpointing = settings.schedule.gradient_checkpointing
        policy = load_fast_policy(base, start, settings.training, machine, checkpointing)
    else:
        policy = load_policy(base, start, settings.training, machine)
    make = dpo_trainer if spec.method == "dpo" else sft_trainer
    trainer = make(policy, tokenizer, tried.rows, run)
    trainer.backend = backend
    return trainer
