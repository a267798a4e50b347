"""What stops a stage early, what is only said, and what an early end leaves."""

import json
import math
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from tasks.core.errors import RequestError, WorkError
from tasks.core.files.sealed import published
from tasks.core.settings.tree import Stage2, Training
from tasks.core.training import stage as stage_module
from tasks.core.training.hardware.machine import find_machine
from tasks.core.training.stage import train
from tasks.core.training.watch import checkpoints as checkpoints_module
from tasks.core.training.watch import health as health_module
from tasks.core.training.watch.health import Health
from tests.training.conftest import SCHEDULE, adapter_digest, changed


def lines(out) -> list[dict]:
    return [json.loads(line) for line in (Path(out) / "telemetry.jsonl").read_text().splitlines()]


class Watched:
    """A Health that gets log lines, on a clock of its own.

    Each line is ten seconds later than the one before, with 1,000 positions a second if not fewer.
    """

    fp16 = False

    def __init__(self, monkeypatch):
        self.now = self.positions = 0.0
        self.said: list[tuple[int, str]] = []
        monkeypatch.setattr(health_module.time, "monotonic", lambda: self.now)
        warn = lambda step, text: self.said.append((step, text))  # noqa: E731
        self.health = Health("stage2", Stage2(), find_machine(), lambda: self.positions, warn)
        self.health.on_train_begin(None, None, None)

    def log(self, step: int, per_second: float = 1000, **logs) -> None:
        self.now += 10
        self.positions += 10 * per_second
        state = SimpleNamespace(global_step=step, max_steps=1000)
        self.health.on_log(
            SimpleNamespace(learning_rate=1e-4, fp16=self.fp16),
            state,
            None,
            {"loss": 1.0, "grad_norm": 1.0, **logs},
        )


@pytest.fixture
def watched(monkeypatch) -> Watched:
    return Watched(monkeypatch)


@pytest.mark.parametrize(("name", "value"), [("loss", float("nan")), ("grad_norm", float("inf"))])
def test_a_figure_that_is_no_number_stops_the_stage(watched, name, value):
    with pytest.raises(
        WorkError,
        match=f"{name} of stage2 is {value} at step 7 of 1000. Lower stage2.learning_rate",
    ):
        watched.log(7, **{name: value})


def test_fp16_may_overflow_while_it_looks_for_its_scale(watched):
    watched.fp16 = True
    watched.log(1, grad_norm=float("inf"))
    with pytest.raises(WorkError, match="loss of stage2 is nan"):
        watched.log(2, loss=float("nan"))


def test_a_gradient_that_stays_high_is_told_once(watched):
    for step in (10, 30, 59):
        watched.log(step, grad_norm=6.0)
    watched.log(60, grad_norm=4.0)
    for step in (70, 100, 119):
        watched.log(step, grad_norm=6.0)
    assert watched.said == []
    for step in (120, 121, 300):
        watched.log(step, grad_norm=6.0)
    ((step, text),) = watched.said
    assert step == 120
    assert "norm has been above 5 for 50 steps" in text


def test_a_speed_that_halves_is_told_but_no_single_slow_line(watched):
    for step in range(10):
        watched.log(step, per_second=100 if step == 7 else 1000)
    for step in range(10, 12):
        watched.log(step, per_second=400)
    assert watched.said == []
    watched.log(12, per_second=400)
    assert watched.said == [
        (12, "Training fell from 1000 to 400 tokens/s. Does something else use the machine?")
    ]


def test_heat_and_memory_are_told(watched, monkeypatch):
    monkeypatch.setattr(health_module, "temperature", lambda machine: 91)
    monkeypatch.setattr(health_module, "memory_left", lambda machine: 0.004)
    watched.now += 60
    watched.log(1)
    texts = " ".join(text for _, text in watched.said)
    assert "Only 0.4 % of the memory is left." in texts
    assert "The card is 91 °C hot" in texts


def test_no_checkpoint_holds_a_loss_that_is_no_number(sft, monkeypatch):
    """Though the stage logs less often than it saves."""
    spec = changed(sft, log_every=7, save_every=1, learning_rate=1e30)
    with pytest.raises(WorkError, match="is nan at step"):
        train(spec)
    sound = [entry.name for entry in (Path(spec.out) / "checkpoints").glob("checkpoint-*")]
    assert "checkpoint-7" not in sound
    loss_lines = [line for line in lines(spec.out) if "loss" in line]
    for line in loss_lines:
        if math.isnan(line["loss"]):
            assert f"checkpoint-{line['step']}" not in sound


@pytest.mark.slow
def test_a_time_limit_stops_with_a_checkpoint_and_the_next_run_goes_on(sft, stage2, plant):
    """It logs and saves as often as its own settings say, whatever the first one's said."""
    saved = set()
    with pytest.raises(
        WorkError,
        match=r"stage2 stopped at step 1 of 7, because training.max_minutes is over. Run the same",
    ):
        train(changed(sft, max_minutes=1e-6, log_every=100, save_every=100))
    assert not (Path(sft.out) / "adapter_model.safetensors").exists()
    plant(
        checkpoints_module,
        "remove_oldest",
        lambda found, folder, *rest: saved.update(os.listdir(folder)),
    )
    assert train(sft)["resumed_from"] == "checkpoint-1"
    assert [line["step"] for line in lines(sft.out) if "loss" in line] == [1, 2, 3, 4, 5, 6, 7]
    assert saved == {f"checkpoint-{step}" for step in (1, 2, 4, 6, 7)}
    assert adapter_digest(Path(sft.out)) == adapter_digest(stage2)


class Losses:
    """Evaluations that tell the losses given, one after the other, whatever the policy; the last
    one for ever.
    """

    def __init__(self, monkeypatch, losses: list[float]):
        def evaluate(trainer, *rest, **named):
            evaluation = trainer.state.global_step - 1
            figures = {"eval_loss": losses[min(evaluation, len(losses) - 1)]}
            trainer.log(dict(figures))
            return figures

        monkeypatch.setattr("tasks.core.training.backends.trl.TrlSFT.evaluate", evaluate)


@pytest.mark.slow
def test_patience_ends_the_stage_and_takes_the_best_checkpoint(sft, tmp_path, monkeypatch, caplog):
    Losses(monkeypatch, [3.0, 2.0, 2.5, 2.6, 2.7, 1.0])
    spec = changed(sft, eval_every=1, patience=3, save_every=100)
    kept, best = stage_module.load_weights, []
    monkeypatch.setattr(
        stage_module,
        "load_weights",
        lambda policy, saved: best.append(saved) or kept(policy, saved),
    )
    metrics = train(spec)
    assert (metrics["best_step"], metrics["stopped_at_step"], metrics["eval_loss"]) == (2, 5, 2.0)
    assert [line["eval_loss"] for line in lines(spec.out) if "eval_loss" in line] == [
        3.0,
        2.0,
        2.5,
        2.6,
        2.7,
    ]
    assert "The loss on held-out rows rose from 2.0000 at step 2 to 2.6000." in metrics["warnings"]
    assert "rose from 2.0000" in (Path(spec.out) / "README.md").read_text()
    assert len(best) == 1
    # the same steps, which end soon after the best one and keep every checkpoint
    short = changed(spec, out=str(tmp_path / "short"), patience=1, save_every=1, keep=7)
    Path(short.out).mkdir()
    monkeypatch.setattr(stage_module, "save_adapter", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(short)
    assert adapter_digest(Path(short.out) / "checkpoints" / "checkpoint-2") == adapter_digest(
        Path(spec.out)
    )


@pytest.mark.slow
def test_a_stage_out_of_patience_that_was_stopped_before_its_adapter_was_written_trains_no_more(
    sft, monkeypatch
):
    Losses(monkeypatch, [2.0, 1.9, 2.5, 2.6, 1.0])
    spec = changed(sft, eval_every=1, patience=2, save_every=1)
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(stage_module, "save_adapter", lambda *arguments: 1 / 0)
        train(spec)
    metrics = train(spec)
    assert (metrics["resumed_from"], metrics["best_step"], metrics["stopped_at_step"]) == (
        "checkpoint-4",
        2,
        4,
    )


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["trl", "engine"])
def test_evaluating_in_between_changes_nothing_of_what_is_trained(sft, tmp_path, backend):
    digests = []
    for every in (0, 2):
        out = tmp_path / f"every{every}"
        spec = changed(sft, backend=backend, eval_every=every, out=str(out))
        out.mkdir()
        train(spec)
        digests.append(adapter_digest(out))
        steps = [line["step"] for line in lines(out) if "eval_loss" in line]
        assert steps == ([2, 4, 6, 7] if every else [7])
    assert digests[0] == digests[1]


def test_patience_needs_evaluations_and_rows_to_make_them_on(sft, monkeypatch):
    with pytest.raises(ValidationError, match="patience counts evaluations; set eval_every too"):
        Stage2(**SCHEDULE, patience=2)
    rows = Path(sft.rows)
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:12]))
    with pytest.raises(
        RequestError, match="stage2.eval_every=1 needs held-out rows, but 12 rows are too few"
    ):
        train(changed(sft, eval_every=1))


def test_what_changes_nothing_of_the_result_stays_out_of_the_key():
    plain = Stage2().result_settings()
    assert Stage2(eval_every=5).result_settings() == plain
    assert Stage2(eval_every=5, patience=1).result_settings() == {
        **plain,
        "eval_every": 5,
        "patience": 1,
    }
    assert Training(max_minutes=3).result_settings() == Training().result_settings()
    assert "shrink" not in Training().result_settings()
    assert Training(shrink=True).result_settings()["shrink"] is True


def test_a_checkpoint_appears_only_once_it_is_whole(tmp_path):
    with pytest.raises(OSError, match="full"), published(tmp_path) as part:
        (part / "checkpoint-3").mkdir()
        (part / "checkpoint-3" / "state").write_text("3")
        raise OSError("the disk is full")
    assert not (tmp_path / "checkpoint-3").exists()
    with published(tmp_path) as part:
        assert not list(part.iterdir())
        (part / "checkpoint-3").mkdir()
        (part / "checkpoint-3" / "state").write_text("3")
    assert {file.name for file in (tmp_path / "checkpoint-3").iterdir()} == {
        "state",
        "kospilot.json",
    }
