"""What a training tells of the time that is left: by its own pace, after a resume too."""

from types import SimpleNamespace

import pytest
from transformers import TrainerState

from tasks.core.files.json_files import read_whole_objects
from tasks.core.training.watch import telemetry
from tasks.core.training.watch.telemetry import Telemetry


@pytest.mark.parametrize("resumed_at", [0, 40])
def test_the_time_left_goes_by_the_steps_after_the_slow_first_one(
    tmp_path, monkeypatch, resumed_at
):
    now = [100.0]
    monkeypatch.setattr(telemetry.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(telemetry, "memory_gib", lambda machine: 1.0)
    monkeypatch.setattr(telemetry, "draw_loss", lambda *given: None)
    watch = Telemetry(tmp_path, "stage2", None, lambda: 0)
    state = TrainerState(global_step=resumed_at, max_steps=100, epoch=0.0)
    given = (SimpleNamespace(), state, SimpleNamespace())
    watch.on_train_begin(*given)
    for seconds in (60, 2, 2, 2):  # the first one builds kernels and skips the rows before it
        now[0] += seconds
        state.global_step += 1
        watch.on_step_end(*given)
        watch.on_log(*given, logs={"loss": 1.0})
    left = [line["eta_s"] for line in read_whole_objects(tmp_path / "telemetry.jsonl")]
    steps = 100 - resumed_at
    assert left == [60 * (steps - 1), 2 * (steps - 2), 2 * (steps - 3), 2 * (steps - 4)]
