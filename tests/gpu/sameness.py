"""The engine against plain TRL on real weights: the same rows a step, padded and unpacked there, packed here.

    python tests/gpu/sameness.py BASE DATA OUT      from the repository's root

Reads BASE, a model folder, and DATA with rows.jsonl and pairs.jsonl. Each backend trains STEPS steps of SFT and of DPO
(on the SFT adapter); losses and gradient norms of each step and the adapters' updates are compared, and the losses of
single rows before. Writes OUT/sameness.md.
"""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from tasks.core.records import TrainingSpec
from tasks.core.settings import Stage2, Stage3, Training
from tasks.core.training.cpu_kernel import use_on_cpu
from tasks.core.training.engine.trainers import engine_trainer
from tasks.core.training.machine import look
from tasks.core.training.model import load_policy, load_tokenizer, lora_weights, read_config, saved_weights
from tasks.core.training.planner import plan_stage
from tasks.core.training.rows import Rows, encode_sft, read_rows
from tasks.core.training.trainers import sft_trainer

STEPS, ROWS = 20, 32
ON_GPU = torch.cuda.is_available()
COMMON = {"max_length": 2048, "gradient_checkpointing": False}


def main(base: Path, data: Path, out: Path) -> None:
    lines = ["| what | largest difference | mean difference |", "|---|---|---|"]
    lines.append(single_rows(base, data))
    start = None
    for method, kind, rate in (("sft", Stage2, 1e-4), ("dpo", Stage3, 5e-6)):
        folders = {}
        for backend in ("trl", "engine"):
            folders[backend] = run(base, data, out, (method, kind, rate, backend, start))
        lines += compare(base, method, folders, start)
        start = str(folders["engine"])
    text = "\n".join([torch.cuda.get_device_name(0) if ON_GPU else "CPU", "", *lines, ""])
    (out / "sameness.md").write_text(text, encoding="utf-8")
    print(text)


def single_rows(base: Path, data: Path) -> str:
    machine, tokenizer = look(), load_tokenizer(base)
    if machine.device == "cpu":
        use_on_cpu()
    encoded = [encode_sft(tokenizer, row, False) for row in read_rows(data / "rows.jsonl", ("messages",))]
    rows = Rows([row for row in encoded if row["positions"] <= 2048][:ROWS], [])
    schedule, losses = Stage2(epochs=1, effective_batch=ROWS, micro_batch=2), []
    for backend in ("trl", "engine"):
        training = Training(**COMMON, backend=backend)
        policy, stage = load_policy(base, None, training, machine, True), (training, schedule, data)
        if backend == "trl":
            trainer = sft_trainer(policy, tokenizer, rows, stage, machine)
        else:
            plan = plan_stage(read_config(base), rows.train, stage[:2], machine)
            trainer = engine_trainer(policy, tokenizer, rows, (*stage, plan), machine)
        with torch.no_grad():
            losses.append(torch.stack([trainer.row_loss(place).detach().float().cpu() for place in range(ROWS)]))
    return row_of(f"loss of {ROWS} single rows, relative", *losses)


def run(base: Path, data: Path, out: Path, what: tuple) -> Path:
    method, kind, rate, backend, start = what
    folder = out / f"{method}-{backend}"
    folder.mkdir(parents=True)
    batch = 8
    rows = (data / ("pairs.jsonl" if method == "dpo" else "rows.jsonl")).read_text(encoding="utf-8").splitlines()
    some = out / f"{method}.jsonl"
    some.write_text("\n".join(rows[: batch * STEPS]) + "\n", encoding="utf-8")
    schedule = kind(epochs=1, effective_batch=batch, micro_batch=2, learning_rate=rate, log_every=1, save_every=10**6)
    training = Training(**COMMON, backend=backend).model_dump(mode="json")
    spec = TrainingSpec(
        f"stage{3 if method == 'dpo' else 2}", method, str(base), start, str(some), str(folder), training,
        schedule.model_dump(mode="json"),
    )  # fmt: skip
    file = out / f"{folder.name}.json"
    file.write_text(json.dumps(asdict(spec)), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "tasks.core.training", str(file)], check=True, stdout=subprocess.DEVNULL)
    return folder


def compare(base: Path, method: str, folders: dict[str, Path], start: str | None) -> list[str]:
    told = {name: telemetry(folder) for name, folder in folders.items()}
    lines = []
    for key in ("loss", "grad_norm"):
        values = [torch.tensor([line[key] for line in told[name]]) for name in ("trl", "engine")]
        lines.append(row_of(f"{method}: {key} of {len(values[0])} steps, relative", *values))
    first = initial(base, start)
    updates = [
        torch.cat([(weight.float() - first[name]).flatten() for name, weight in sorted(saved_weights(folder).items())])
        for folder in folders.values()
    ]
    cosine = torch.cosine_similarity(*updates, dim=0).item()
    lines.append(f"| {method}: cosine of the adapters' updates | {cosine:.5f} | |")
    return lines


def telemetry(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "telemetry.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if "loss" in line]


def initial(base: Path, start: str | None) -> dict[str, torch.Tensor]:
    if start:
        return saved_weights(Path(start))
    policy = load_policy(base, None, Training(**COMMON), look(), True)
    return {name: weight.detach().float().cpu() for name, weight in lora_weights(policy)}


def row_of(what: str, one: torch.Tensor, other: torch.Tensor) -> str:
    gaps = (one - other).abs() / one.abs()
    return f"| {what} | {100 * gaps.max():.2f} % | {100 * gaps.mean():.2f} % |"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
