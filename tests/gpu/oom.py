"""A card that gets full in mid-run: both backends give way, go on from their checkpoint, and train
the same curve.

    python tests/gpu/oom.py BASE ROWS OUT        from the repository's root, on a GPU machine
    python tests/gpu/oom.py OUT --tiny           a rehearsal on a CPU, where a double of the card
        refuses

Reads BASE, a model folder with real weights, and ROWS, a rows.jsonl of Stage 2. Each backend trains
the same steps twice: undisturbed, and from the middle on with a cap below what it took until then.
Writes OUT/oom.md; ends with 1 where steps are missing or the loss is off by more than 2 %.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch
from transformers import TrainerCallback

from tasks.core.settings.tree import Stage2, Training
from tasks.core.training import stage
from tasks.core.training.__main__ import main as run_stage
from tasks.core.training.backends.trl import TrlTrainer
from tasks.core.training.engine.decoder import Engine
from tasks.core.training.spec import TrainingSpec
from tests.tiny import chat_rows, make_base, write_jsonl

STEPS, BATCH, MIDDLE, ROOM, ALLOWED = 40, 16, 20, 0.6, 0.02
ROWS = STEPS * BATCH * 100 // 99  # one of a hundred is held out
COLUMNS = (
    "backend",
    "steps",
    "peak GiB",
    "cap from the middle on",
    "given up",
    "resumed from",
    "loss off by",
    "seconds",
)


class Cap(TrainerCallback):
    """From the middle on the process may take less than the first one took until then, as if
    another had the rest.
    """

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == 1 and torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()  # the start's checks took more, perhaps
        if state.global_step != MIDDLE:
            return
        cap = Path(os.environ["CAP"])
        if torch.cuda.is_available():
            gib = (
                float(cap.read_text())
                if cap.exists()
                else ROOM * torch.cuda.max_memory_allocated() / 2**30
            )
            cap.write_text(f"{gib:.1f}")
            torch.cuda.empty_cache()
            torch.cuda.set_per_process_memory_fraction(
                gib * 2**30 / torch.cuda.get_device_properties(0).total_memory
            )
        elif not cap.exists():
            cap.write_text("none")
            Engine.log_probs = TrlTrainer.training_step = _refuse


def _refuse(*arguments, **named):
    """A CPU's double of a full card, once: the next process finds room."""
    raise torch.OutOfMemoryError("CUDA out of memory. This is a rehearsal.")


def train_capped(spec_file: Path) -> int:
    """What `python -m tasks.core.training` does, under the cap; it starts this very command again
    when it gives way.
    """
    add = stage._add_callbacks

    def add_callbacks(trainer, *rest):
        add(trainer, *rest)
        trainer.add_callback(Cap())

    stage._add_callbacks = add_callbacks
    sys.argv = ["training", str(spec_file)]
    return run_stage()


def run(spec: TrainingSpec, capped: bool = False) -> dict:
    """A stage in a process of its own, to its end; its metrics, with the losses of all steps."""
    out = Path(spec.out)
    out.mkdir(parents=True)
    spec_file = out.with_suffix(".json")
    spec_file.write_text(json.dumps(asdict(spec)))
    program = [__file__, "capped"] if capped else ["-m", "tasks.core.training"]
    began, cap = time.monotonic(), out.with_suffix(".cap")
    env = {**os.environ, "CAP": str(cap)}
    subprocess.run(
        [sys.executable, *program, str(spec_file)], check=True, env=env, stdout=subprocess.DEVNULL
    )
    told = [json.loads(line) for line in (out / "telemetry.jsonl").read_text().splitlines()]
    losses = {line["step"]: line["loss"] for line in told if "loss" in line}
    metrics = json.loads((out / "metrics.json").read_text())
    told = {"losses": losses, "wall_s": time.monotonic() - began}
    return metrics | told | ({"cap": cap.read_text()} if capped else {})


def compare(spec: TrainingSpec, backend: str, out: Path) -> list:
    """A row of the table: the backend's run under the cap against its undisturbed one."""
    spec = replace(spec, training={**spec.training, "backend": backend})
    whole = run(replace(spec, out=str(out / f"{backend}-whole")))
    told = run(replace(spec, out=str(out / f"{backend}-capped")), capped=True)
    gaps = [
        abs(told["losses"].get(step, float("inf")) / loss - 1)
        for step, loss in whole["losses"].items()
    ]
    steps = f"{len(told['losses'])} of {whole['steps']}"
    peaks = f"{whole['peak_memory_gib']:.1f}, then {told['peak_memory_gib']:.1f}"
    given_up = "; ".join(told["given_up"]) or "nothing"
    seconds = f"{whole['wall_s']:.0f} + {told['wall_s']:.0f}"
    return [backend, steps, peaks, told["cap"], given_up, told["resumed_from"], max(gaps), seconds]


def main(base: Path, rows: Path, out: Path, length: int) -> int:
    training = Training(max_length=length).model_dump(mode="json")
    schedule = Stage2(epochs=1, effective_batch=BATCH, micro_batch=BATCH, log_every=1, save_every=5)
    values = schedule.model_dump(mode="json") | {"gradient_checkpointing": False}
    spec = TrainingSpec("stage2", "sft", str(base), None, str(rows), str(out), training, values)
    table = [compare(spec, backend, out) for backend in ("engine", "trl")]
    card = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU (rehearsal)"
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    lines += [
        f"| {' | '.join(f'{x:.2%}' if isinstance(x, float) else str(x) for x in row)} |"
        for row in table
    ]
    text = "\n".join(
        [f"{card}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}", "", *lines, ""]
    )
    (out / "oom.md").write_text(text, encoding="utf-8")
    print(text)
    return int(any(row[6] > ALLOWED or row[4] == "nothing" for row in table))


def first_rows(rows: Path, out: Path) -> Path:
    """As many as the steps take."""
    lines = rows.read_text(encoding="utf-8").splitlines(keepends=True)[:ROWS]
    (out / "rows.jsonl").write_text("".join(lines), encoding="utf-8")
    return out / "rows.jsonl"


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    if sys.argv[1] == "capped":
        sys.exit(train_capped(Path(sys.argv[2])))
    *inputs, folder = (Path(given) for given in sys.argv[1:] if given != "--tiny")
    folder.mkdir(parents=True, exist_ok=True)
    if inputs:
        sys.exit(main(inputs[0], first_rows(inputs[1], folder), folder, 4096))
    sys.exit(
        main(
            make_base(folder / "base"),
            write_jsonl(folder / "rows.jsonl", chat_rows(ROWS)),
            folder,
            512,
        )
    )
