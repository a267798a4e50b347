"""A stage goes on from its newest intact checkpoint and ends as if nothing had happened
(processes/test_kills.py kills it).
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tasks.core.errors import WorkError
from tasks.core.files.sealed import seal
from tasks.core.settings.tree import Training
from tasks.core.training import stage as stage_module
from tasks.core.training.backends.trl import TrlDPO
from tasks.core.training.hardware.machine import find_machine
from tasks.core.training.policy.adapter import lora_weights
from tasks.core.training.policy.loading import load_policy
from tasks.core.training.spec import TrainingSpec
from tasks.core.training.stage import train
from tasks.core.training.watch.checkpoints import find_newest_intact, remove_oldest
from tests.chain.stores import flip_bit
from tests.conftest import made_once
from tests.training.conftest import adapter_digest


@pytest.fixture
def interrupted(sft, tmp_path_factory, monkeypatch) -> TrainingSpec:
    """A stage that trained to its end but was stopped before its adapter was written; two
    checkpoints are there.
    """

    def make(folder: Path) -> None:
        (folder / "adapter").mkdir()
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(stage_module, "save_adapter", stop)
            train(replace(sft, out=str(folder / "adapter")))

    unfinished = made_once(tmp_path_factory, "interrupted-stage2", make)
    shutil.copytree(unfinished / "adapter", sft.out, dirs_exist_ok=True)
    return sft


def stop(*arguments):
    raise KeyboardInterrupt


@pytest.mark.slow
def test_a_damaged_checkpoint_is_reported_and_the_one_before_it_is_used(
    interrupted, stage2, caplog
):
    folder = Path(interrupted.out) / "checkpoints"
    assert sorted(entry.name for entry in folder.iterdir()) == ["checkpoint-6", "checkpoint-7"]
    file = folder / "checkpoint-7" / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-9] + b"\0" * 9)
    metrics = train(interrupted)
    assert (
        "checkpoint-7 is not used: adapter_model.safetensors is missing or damaged" in caplog.text
    )
    assert metrics["resumed_from"] == "checkpoint-6"
    assert adapter_digest(Path(interrupted.out)) == adapter_digest(stage2)


@pytest.mark.slow
def test_a_stage_stopped_behind_its_last_step_only_writes_its_adapter(
    interrupted, stage2, monkeypatch
):
    monkeypatch.delattr(
        "tasks.core.training.rows.encoding.encode_chats"
    )  # its rows are tokens already
    metrics = train(interrupted)
    assert metrics["resumed_from"] == "checkpoint-7"
    assert metrics["steps"] == 7
    assert adapter_digest(Path(interrupted.out)) == adapter_digest(stage2)


def test_after_a_resume_the_policy_must_be_the_checkpoints(interrupted, monkeypatch):
    """As if transformers had loaded another adapter than the policy's."""
    monkeypatch.setattr(
        "tasks.core.training.backends.trl.TrlSFT._load_from_checkpoint", lambda *arguments: None
    )
    with pytest.raises(WorkError, match=r"The policy's .*lora_A.* is not checkpoint-7's"):
        train(interrupted)


@pytest.mark.slow
def test_after_a_resume_the_reference_is_still_stage_2s(dpo, stage2, monkeypatch):
    """The log-probs that the resumed run compares with are those of Stage 2's adapter, not of the
    checkpoint's.
    """
    seen = []
    kept = TrlDPO.gap_to_reference

    def observe(trainer):
        seen.append((trainer.train_dataset["ref_chosen_logps"][:], kept(trainer)))
        return seen[-1][1]

    monkeypatch.setattr(TrlDPO, "gap_to_reference", observe)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(stage_module, "save_adapter", stop)
        train(dpo)
    metrics = train(dpo)
    assert metrics["resumed_from"] == "checkpoint-5"
    assert seen[0] == seen[1]


def test_checkpoints_count_only_when_sealed_and_the_oldest_go(tmp_path):
    for step in (2, 10, 9):
        checkpoint = tmp_path / f"checkpoint-{step}"
        checkpoint.mkdir()
        (checkpoint / "state").write_text(str(step))
        if step != 10:
            seal(checkpoint)
    assert find_newest_intact(tmp_path).name == "checkpoint-9"
    assert not (tmp_path / "checkpoint-10").exists()
    remove_oldest(tmp_path, 1)
    assert os.listdir(tmp_path) == ["checkpoint-9"]
    shutil.rmtree(tmp_path / "checkpoint-9")
    assert find_newest_intact(tmp_path) is None


def test_the_policy_that_is_loaded_does_not_depend_on_what_ran_before(base, stage2):
    """A resumed process draws other random numbers than a fresh one before the policy is made."""
    training = Training(lora_rank=4, lora_alpha=8)
    first = dict(lora_weights(load_policy(base, None, training, find_machine())))
    torch.rand(3)
    second = dict(lora_weights(load_policy(base, None, training, find_machine())))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("name", ["optimizer.pt", "adapter_model.safetensors"])
def test_a_checkpoint_with_a_flipped_bit_is_not_resumed_from(tmp_path, name):
    for step in (1, 2):
        checkpoint = tmp_path / f"checkpoint-{step}"
        checkpoint.mkdir()
        (checkpoint / name).write_text("weights")
        seal(checkpoint)
    flip_bit(tmp_path / "checkpoint-2" / name, with_old_times=True)
    assert find_newest_intact(tmp_path).name == "checkpoint-1"


def test_folders_with_odd_names_among_checkpoints_stay(tmp_path):
    for name in ("checkpoint-abc", "checkpoint-", "checkpoint-1-old", "checkpoint-²"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint-7").write_text("a file")
    (tmp_path / "checkpoint-3").mkdir()
    (tmp_path / "checkpoint-3" / "a").write_text("a")
    seal(tmp_path / "checkpoint-3")
    assert find_newest_intact(tmp_path).name == "checkpoint-3"
    remove_oldest(tmp_path, keep=0)
    assert len(list(tmp_path.iterdir())) == 5
