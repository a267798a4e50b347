"""The optimizer that does not wait: bitsandbytes' own, but for the waiting."""

import bitsandbytes.optim.optimizer as theirs
import pytest
import torch
from bitsandbytes.optim import AdamW
from transformers import TrainingArguments

from tasks.core.training.backends.engine import EngineDPO, EngineTrainer
from tasks.core.training.backends.trl import TrlDPO, TrlSFT
from tasks.core.training.policy.optimizer import UnwaitingAdamW


def matrices() -> list[torch.nn.Parameter]:
    random = torch.Generator().manual_seed(3)
    return [torch.nn.Parameter(torch.randn(size, 96, generator=random)) for size in (32, 64, 128)]


def train(optimizer: torch.optim.Optimizer, steps: int) -> None:
    for step in range(steps):
        random = torch.Generator().manual_seed(step)
        for matrix in optimizer.param_groups[0]["params"]:
            matrix.grad = torch.randn(matrix.shape, generator=random)
        optimizer.step()


def test_it_makes_bitsandbytes_steps_and_never_waits(monkeypatch):
    waits = []
    monkeypatch.setattr(theirs, "sync_gpu", waits.append)
    one, other = matrices(), matrices()
    train(AdamW(one, lr=1e-2, optim_bits=8), 5)
    assert len(waits) == 5 * len(one)
    train(UnwaitingAdamW(other, lr=1e-2, optim_bits=8), 5)
    assert len(waits) == 5 * len(one), "nobody waited"
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_others_wait_again_after_a_step_that_failed(monkeypatch):
    wait = theirs.sync_gpu
    optimizer = UnwaitingAdamW(matrices(), lr=1e-2, optim_bits=8)
    monkeypatch.setattr(optimizer, "update_step", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(optimizer, 1)
    assert theirs.sync_gpu is wait


@pytest.mark.parametrize("trainer", [TrlSFT, TrlDPO, EngineTrainer, EngineDPO])
@pytest.mark.parametrize(
    ("name", "kind"), [("adamw_bnb_8bit", UnwaitingAdamW), ("adamw_torch", torch.optim.AdamW)]
)
def test_every_trainer_takes_it_on_a_gpu_and_the_usual_one_on_a_cpu(trainer, name, kind, tmp_path):
    arguments = TrainingArguments(
        output_dir=str(tmp_path), optim=name, use_cpu=True, learning_rate=3e-4
    )
    found, named = trainer.get_optimizer_cls_and_kwargs(arguments)
    assert found is kind
    assert named["lr"] == 3e-4


@pytest.mark.filterwarnings("ignore:Paged optimizers are not supported on CPU")
def test_paged_memory_is_waited_for(monkeypatch):
    waits, optimizer = [], UnwaitingAdamW(matrices(), lr=1e-2, optim_bits=8)
    monkeypatch.setattr(theirs, "sync_gpu", waits.append)
    optimizer.is_paged = True
    monkeypatch.setattr(optimizer, "prefetch_state", lambda matrix: None)
    train(optimizer, 1)
    assert waits
