"""Unsloth trains what plain TRL trains: the same losses, step by step, on a real model's weights.

    PYTHONPATH=SITE:. python3 tests/gpu/unsloth_same.py BASE OUT      from the repository's root,
        with a GPU

SITE is a folder with the Python packages that the machine lacks, Unsloth's among them.

Reads BASE, a model folder (SmolLM2's: losses of random weights prove nothing). A few steps with TRL
make a first adapter; from there on an SFT and a DPO stage run with either backend, each in a
process of its own, as kospilot runs them. Writes the adapter folders, OUT/unsloth_same.md with
every step's losses, and fails where they are apart by more than 1 % (SFT) or 0.03 (DPO, whose
log-probs in bf16 vary by that much with the kernel).
"""

import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch

from tasks.core.settings.tree import Stage2, Stage3, Training
from tasks.core.training.spec import TrainingSpec
from tests.tiny import chat_rows, preference_pairs, write_jsonl

TRAINING = Training(max_length=1024, lora_rank=16)
SCHEDULE = {"epochs": 1, "effective_batch": 8, "micro_batch": 4, "log_every": 1, "save_every": 1000}
SFT_TOLERANCE, DPO_TOLERANCE = 0.01, 0.03  # of the loss; in nats


def main(base: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    rows, pairs = (
        write_jsonl(out / "rows.jsonl", chat_rows(170)),
        write_jsonl(out / "pairs.jsonl", preference_pairs(90)),
    )
    first = run(base, None, rows, out / "first", "trl")
    lines, apart = ["| stage | step | TRL | Unsloth |", "|---" * 4 + "|"], {}
    for method, file in (("sft", rows), ("dpo", pairs)):
        folders = [
            run(base, first, file, out / f"{method}-{backend}", backend)
            for backend in ("trl", "unsloth")
        ]
        losses = list(zip(*map(losses_of, folders), strict=True))
        lines += [
            f"| {method} | {step} | {one:.4f} | {other:.4f} |"
            for step, (one, other) in enumerate(losses, 1)
        ]
        apart[method] = max(
            abs(one - other) / (one if method == "sft" else 1) for one, other in losses
        )
        lines.append(f"| {method} | apart by | {apart[method]:.4f} at most | {seconds(folders)} |")
    text = "\n".join(
        [f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}", "", *lines, ""]
    )
    (out / "unsloth_same.md").write_text(text, encoding="utf-8")
    print(text)
    assert apart["sft"] <= SFT_TOLERANCE, (
        f"SFT losses are apart by {apart['sft']:.4f} of themselves"
    )
    assert apart["dpo"] <= DPO_TOLERANCE, f"DPO losses are apart by {apart['dpo']:.4f} nats"


def run(base: Path, start: Path | None, rows: Path, out: Path, backend: str) -> Path:
    out.mkdir()
    schedule = (Stage3 if rows.stem == "pairs" else Stage2)(
        **SCHEDULE, learning_rate=5e-5 if start else 1e-4
    )
    training = TRAINING.model_copy(update={"backend": backend}).model_dump(mode="json")
    stage, method = ("stage3", "dpo") if rows.stem == "pairs" else ("stage2", "sft")
    values = schedule.model_dump(mode="json")
    spec = TrainingSpec(
        stage, method, str(base), start and str(start), str(rows), str(out), training, values
    )
    spec_file = out.with_suffix(".json")
    spec_file.write_text(json.dumps(asdict(spec)))
    began = time.monotonic()
    command = [sys.executable, "-m", "tasks.core.training", str(spec_file)]
    subprocess.run(command, check=True, timeout=300, stdout=subprocess.DEVNULL)
    told = json.loads((out / "metrics.json").read_text())
    print(
        f"{out.name}: {told['backend']}, {time.monotonic() - began:.0f} s,"
        f" {told['tokens_per_s']} tokens/s",
        flush=True,
    )
    assert told["backend"] == backend
    return out


def losses_of(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "telemetry.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def seconds(folders: list[Path]) -> str:
    told = [json.loads((folder / "metrics.json").read_text())["seconds"] for folder in folders]
    return f"{told[0]:.0f} s and {told[1]:.0f} s"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
