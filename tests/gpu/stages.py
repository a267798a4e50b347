"""The three stages on a GPU machine, alone: no Prefect, no DuckDB, nothing but `python -m tasks.core.training`.

    python tests/gpu/stages.py BASE DATA OUT      from the repository's root

Reads BASE, a model folder, and DATA with rows.parquet (Stage 1), rows.jsonl (Stage 2) and pairs.jsonl (Stage 3).
Writes one adapter folder per stage into OUT and OUT/table.md. Stage 2 is killed outright half-way and resumed.
"""

import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch

from tasks.core.records import TrainingSpec
from tasks.core.settings import Stage1, Stage2, Stage3, Training

TRAINING = Training(max_length=4096, gradient_checkpointing=False)
SCHEDULES = {
    "stage1": ("rows.parquet", Stage1(epochs=2, micro_batch=8, log_every=1)),
    "stage2": ("rows.jsonl", Stage2(epochs=3, micro_batch=8, log_every=5, save_every=20)),
    "stage3": ("pairs.jsonl", Stage3(micro_batch=4, log_every=2, save_every=10)),
}
COLUMNS = ("rows", "positions_trained", "steps", "first_loss", "final_loss", "eval_loss", "tokens_per_s")


def main(base: Path, data: Path, out: Path) -> None:
    start, table = None, [f"| stage | {' | '.join(COLUMNS)} | peak GiB | seconds | resumed from |", "|---" * 11 + "|"]
    for stage, (rows, schedule) in SCHEDULES.items():
        folder = out / stage
        folder.mkdir(parents=True, exist_ok=True)
        method = "dpo" if stage == "stage3" else "sft"
        training, values = TRAINING.model_dump(mode="json"), schedule.model_dump(mode="json")
        spec = TrainingSpec(stage, method, str(base), start, str(data / rows), str(folder), training, values)
        spec_file = out / f"{stage}.json"
        spec_file.write_text(json.dumps(asdict(spec)))
        if stage == "stage2":
            run(spec_file, kill_at=0.5)
        began = time.monotonic()
        run(spec_file)
        told = json.loads((folder / "metrics.json").read_text())
        cells = [f"{told[name]:.4g}" if isinstance(told[name], float) else str(told[name]) for name in COLUMNS]
        cells += [str(told["peak_memory_gib"]), f"{time.monotonic() - began:.0f}", str(told["resumed_from"])]
        table.append(f"| {stage} | {' | '.join(cells)} |")
        assert (stage == "stage2") == bool(told["resumed_from"]), "Stage 2 alone was killed, and goes on from there"
        start = str(folder)
    text = "\n".join([f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}", "", *table, ""])
    (out / "table.md").write_text(text)
    sys.stdout.write(text)


def run(spec_file: Path, kill_at: float = 2.0) -> None:
    """One stage in a process of its own; kill_at: share of its steps after which it is killed."""
    command = [sys.executable, "-m", "tasks.core.training", str(spec_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            told = json.loads(line)
            if told["step"] >= kill_at * told["steps"]:
                process.send_signal(signal.SIGKILL)
                break
        code = process.wait()
    assert code == (-signal.SIGKILL if kill_at < 1 else 0), f"{spec_file.stem} exited with {code}"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
