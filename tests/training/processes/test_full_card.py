"""A card that gets full in mid-run: the stage gives way, goes on from its checkpoint, and trains
what it would have.

The card is a double: the forward pass raises torch.OutOfMemoryError at chosen steps. Another
process that goes on is a second call of the same function.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from tasks.core.errors import RequestError, WorkError
from tasks.core.settings.tree import Stage2, Training
from tasks.core.training import __main__ as program
from tasks.core.training import stage as stage_module
from tasks.core.training.backends.engine import EngineTrainer
from tasks.core.training.backends.trl import TrlTrainer
from tasks.core.training.engine.decoder import Engine
from tasks.core.training.planning.plan import Plan
from tasks.core.training.processes.full_card import (
    CardFull,
    Try,
    apply_tries,
    find_lighter,
    giving_way,
    read_tries,
)
from tasks.core.training.rows.selection import Rows
from tasks.core.training.spec import StageSettings, TrainingSpec
from tasks.core.training.stage import train
from tests.training.conftest import changed
from tests.training.encoded import conversation

SAME = 2e-2  # relative: other micro-batches sum bf16 numbers in another order


class FullCard:
    """Has no room from a step on for more than `room` rows (TRL) or tokens (engine) at once."""

    def __init__(self, monkeypatch, step: int, room: int):
        self.step, self.room, self.done, self.refusals = step, room, 0, 0
        kept_step, kept_packs = TrlTrainer.training_step, Engine.log_probs

        def training_step(trainer, model, inputs, *rest, **named):
            self.done = trainer.state.global_step
            self.use(len(inputs["input_ids"]))
            return kept_step(trainer, model, inputs, *rest, **named)

        def log_probs(engine, pack):
            self.use(len(pack.ids) if torch.is_grad_enabled() else 0)
            return kept_packs(engine, pack)

        def engine_step(trainer, *rest, **named):
            self.done = trainer.state.global_step
            return kept_engine_step(trainer, *rest, **named)

        kept_engine_step = EngineTrainer.training_step
        monkeypatch.setattr(TrlTrainer, "training_step", training_step)
        monkeypatch.setattr(EngineTrainer, "training_step", engine_step)
        monkeypatch.setattr(Engine, "log_probs", log_probs)

    def use(self, size: int) -> None:
        if self.done >= self.step and size > self.room:
            self.refusals += 1
            raise torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2 GiB. GPU 0 has none."
            )


def losses(out: str | Path) -> torch.Tensor:
    lines = [json.loads(line) for line in (Path(out) / "telemetry.jsonl").read_text().splitlines()]
    loss_lines = [line for line in lines if "loss" in line]
    assert [line["step"] for line in loss_lines] == list(range(1, loss_lines[-1]["steps"] + 1))
    return torch.tensor([line["loss"] for line in loss_lines])


def whole(spec: TrainingSpec) -> torch.Tensor:
    out = f"{spec.out}-whole"
    Path(out).mkdir()
    train(replace(spec, out=out))
    return losses(out)


def run_program(spec: TrainingSpec, tmp_path, monkeypatch) -> int:
    """`python -m tasks.core.training`; a new process is a new call."""
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(asdict(spec)))
    monkeypatch.setattr("sys.argv", ["training", str(file)])

    class StartedAgain(Exception):
        pass

    def start_over():
        raise StartedAgain

    monkeypatch.setattr(program, "start_over", start_over)
    while True:
        try:
            return program.main()
        except StartedAgain:
            continue


@pytest.mark.slow
def test_trl_halves_the_micro_batch_and_trains_the_same(sft, tmp_path, monkeypatch, capsys):
    spec = changed(sft, backend="trl", micro_batch=4)
    wanted = whole(spec)
    card = FullCard(monkeypatch, step=5, room=1)
    assert run_program(spec, tmp_path, monkeypatch) == 0
    assert card.refusals == 2  # four rows, then two
    assert torch.allclose(losses(spec.out), wanted, rtol=SAME)
    metrics = json.loads((Path(spec.out) / "metrics.json").read_text())
    assert metrics["steps"] == 7
    assert metrics["resumed_from"] == "checkpoint-4"
    assert metrics["given_up"] == [
        "Step 5: The GPU's memory is full: CUDA out of memory. Then micro batch 2 instead of 4.",
        "Step 5: The GPU's memory is full: CUDA out of memory. Then micro batch 1 instead of 2.",
    ]
    assert (
        "- Step 5: The GPU's memory is full: CUDA out of memory. Then micro batch 1"
        in (Path(spec.out) / "README.md").read_text()
    )
    config = json.loads((Path(spec.out) / "training_config.json").read_text())
    assert config["schedule"]["micro_batch"] == 4, (
        "what was asked for, which the adapter is known by"
    )
    assert not (Path(spec.out) / "tries.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_the_engine_takes_smaller_packs_and_trains_the_same(method, request, tmp_path, monkeypatch):
    spec = changed(request.getfixturevalue(method), backend="engine")
    wanted = whole(spec)
    card = FullCard(monkeypatch, step=3, room=200)
    assert run_program(spec, tmp_path, monkeypatch) == 0
    assert card.refusals >= 1
    assert torch.allclose(losses(spec.out), wanted, rtol=SAME)
    metrics = json.loads((Path(spec.out) / "metrics.json").read_text())
    assert metrics["resumed_from"]
    assert all("tokens" in sentence for sentence in metrics["given_up"])
    assert len(set(metrics["given_up"])) == card.refusals


@pytest.mark.slow
def test_nothing_is_tried_twice_and_the_end_says_what_would_fit(sft, tmp_path, monkeypatch, capsys):
    card = FullCard(monkeypatch, step=0, room=0)
    assert run_program(changed(sft, backend="trl"), tmp_path, monkeypatch) == 1
    assert card.refusals == 3
    assert [entry.now for entry in read_tries(Path(sft.out))] == [
        {"micro_batch": 1},
        {"gradient_checkpointing": True},
    ]
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(
        "error: The GPU's memory is full: CUDA out of memory."
        " Nothing is left to give up: it trained 1"
    )
    assert "Set training.max_length=" in last
    assert "training.shrink=true" in last


def tried(
    training=None, rows=((2000, 1500), (900, 700)), plan=None, continues=False, **schedule
) -> Try:
    made = [conversation([1] * tokens) for tokens, _ in rows]
    settings = StageSettings(Training(**(training or {})), Stage2(**schedule))
    return Try(settings, Rows(made, []), continues, plan)


def every_try(first: Try) -> list[dict]:
    """What is given up one after the other, as the next processes would."""
    given_up, now = [], find_lighter(first)
    while now:
        given_up.append(now)
        training = first.settings.training.model_copy(
            update={k: v for k, v in now.items() if k in Training.model_fields}
        )
        schedule = first.settings.schedule.model_copy(
            update={k: v for k, v in now.items() if k in Stage2.model_fields}
        )
        plan = first.plan and replace(
            first.plan, **{k: v for k, v in now.items() if k in ("tokens", "checkpointed")}
        )
        if "base_weights" in now:
            plan = replace(plan, nf4=True)
        rows = [row for row in first.rows.train if row.positions <= training.max_length]
        settings = StageSettings(training, schedule)
        first = Try(settings, Rows(rows, []), first.continues, plan)
        now = find_lighter(first)
    return given_up


def test_the_order_in_which_the_engine_gives_up():
    plan = Plan(tokens=9000, checkpointed=0, layers=4, nf4=False, peak_gib=20, step_s=1)
    given_up = every_try(tried(plan=plan))
    assert [now["tokens"] for now in given_up[:3]] == [
        4500,
        2250,
        2000,
    ]  # never less than the longest row
    assert given_up[3:] == [
        {"checkpointed": 2},
        {"checkpointed": 3},
        {"checkpointed": 4},
        {"base_weights": "nf4"},
    ]
    assert {"base_weights": "nf4"} not in every_try(tried({"base_weights": "bf16"}, plan=plan))
    plain = replace(plan, quantized=False)
    assert {"base_weights": "nf4"} not in every_try(tried({"quantize_base": "none"}, plan=plain))


def test_a_micro_batch_still_divides_the_effective_batch():
    given_up = every_try(tried(effective_batch=12, micro_batch=12, gradient_checkpointing=False))
    assert given_up == [{"micro_batch": n} for n in (6, 3, 1)] + [{"gradient_checkpointing": True}]


def test_length_rank_and_modules_go_only_where_allowed_and_to_their_floors():
    assert every_try(tried(micro_batch=1)) == []
    given_up = every_try(tried({"shrink": True, "lora_rank": 64, "lora_alpha": 32}, micro_batch=1))
    assert given_up == [
        {"max_length": 1024},
        {"lora_rank": 32, "lora_alpha": 16},
        {"lora_rank": 16, "lora_alpha": 8},
        {"target_modules": ["q_proj", "v_proj"]},
    ]
    continued = tried({"shrink": True}, micro_batch=1, continues=True)
    assert every_try(continued) == [{"max_length": 1024}]


@pytest.mark.slow
def test_a_smaller_adapter_starts_from_the_beginning_and_the_next_stage_takes_its_shape(
    sft, tmp_path, monkeypatch
):
    spec = changed(sft, backend="trl", micro_batch=1, gradient_checkpointing=True, shrink=True)
    spec = changed(spec, lora_rank=32, lora_alpha=16)
    kept, asked = stage_module._run, []

    def run(trainer, out, *rest):
        asked.append(trainer.model.peft_config["default"].r)
        if asked[-1] == 32:
            kept(
                trainer, out, *rest
            )  # to its end: its checkpoints must not be taken for the smaller adapter's
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return kept(trainer, out, *rest)

    monkeypatch.setattr(stage_module, "_run", run)
    with pytest.raises(
        CardFull, match="The next try takes lora rank 16 instead of 32, lora alpha 8 instead of 16"
    ):
        train(spec)
    assert (Path(spec.out) / "checkpoints").exists(), "another card's process may be writing there"
    monkeypatch.delattr(
        "tasks.core.training.rows.encoding.encode_chats"
    )  # the rows are tokens already
    assert train(spec)["resumed_from"] is None
    assert asked == [32, 16]
    later = apply_tries(changed(spec, start=spec.out), [])
    assert (later.training["lora_rank"], later.training["lora_alpha"]) == (16, 8)
    other = apply_tries(changed(spec, start=spec.out, shrink=False), [])
    assert other.training["lora_rank"] == 32


def test_no_plan_at_all_gives_way_only_where_shrinking_is_allowed(sft):
    tiny = changed(sft, backend="engine", memory_gib=1e-4)
    with pytest.raises(RequestError, match="GiB at least"):
        train(tiny)
    with pytest.raises(
        CardFull, match="GiB at least.* The next try takes lora rank 16 instead of 32"
    ):
        train(changed(tiny, shrink=True, lora_rank=32))


def test_what_was_of_no_use_is_not_tried_again(tmp_path):
    """As if a planner did not heed what was given up."""
    plan = Plan(tokens=9000, checkpointed=0, layers=4, nf4=False, peak_gib=20, step_s=1)
    for error in (CardFull, WorkError):
        again = replace(tried(plan=plan), earlier=read_tries(tmp_path))
        with pytest.raises(WorkError) as raised, giving_way(tmp_path, again):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        assert type(raised.value) is error
    assert "Nothing is left to give up: it trained with micro-batches of up to 9,000 tokens" in str(
        raised.value
    )
    assert "training.max_length=1000 (the longest row has 2000 tokens)" in str(raised.value)


def test_two_cards_that_are_full_at_once_give_up_one_thing(tmp_path):
    plan = Plan(tokens=9000, checkpointed=0, layers=4, nf4=False, peak_gib=20, step_s=1)
    for one in [tried(plan=plan), tried(plan=plan)]:
        with pytest.raises(CardFull), giving_way(tmp_path, one):
            raise torch.OutOfMemoryError("CUDA out of memory.")
    assert [entry.now for entry in read_tries(tmp_path)] == [{"tokens": 4500}]


def test_another_error_is_not_taken_for_a_full_card(sft, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(stage_module, "_run", fail)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        train(sft)
    assert not (Path(sft.out) / "tries.json").exists()
