"""The engine against plain TRL on real weights: the same rows a step, padded and unpacked there,
packed here.

    python tests/gpu/sameness.py BASE DATA OUT                      from the repository's root
    python tests/gpu/sameness.py stage SPEC.json bfloat16|float32   one of its stages, computed in
        this type

Reads BASE, a model folder, and DATA with rows.jsonl and pairs.jsonl. Each backend trains STEPS
steps of SFT and of DPO (on the SFT adapter), in float32, where both have to agree, and in bf16,
where each rounds in its own way and float32 tells how far it is off: losses and gradient norms of
each step and the adapters' updates are compared, and the losses of single rows before. The engine
trains once more, killed outright on the way and resumed, and is compared with itself. Writes
OUT/sameness.md.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import torch

from tasks.core.settings.tree import Stage2, Stage3, Training
from tasks.core.training.__main__ import main as run_stage
from tasks.core.training.backends import assembly
from tasks.core.training.backends.cpu_kernel import use_on_cpu
from tasks.core.training.backends.engine import engine_trainer
from tasks.core.training.backends.run import StageRun
from tasks.core.training.backends.trl import sft_trainer
from tasks.core.training.hardware.machine import find_machine
from tasks.core.training.planning.planner import plan_stage
from tasks.core.training.policy.adapter import lora_weights, read_weights
from tasks.core.training.policy.base_model import load_tokenizer, read_config
from tasks.core.training.policy.loading import load_policy
from tasks.core.training.rows.encoding import encode_rows
from tasks.core.training.rows.files import RowFile
from tasks.core.training.rows.selection import Rows
from tasks.core.training.spec import StageSettings, TrainingSpec
from tests.gpu.stages import run

STEPS, BATCH, ROWS = 20, 8, 32
ON_GPU = torch.cuda.is_available()
MAX_LENGTH = 2048
RUNS = {
    "TRL, float32": ("trl", "float32", 0.0),
    "engine, float32": ("engine", "float32", 0.0),
    "TRL, bf16": ("trl", "bfloat16", 0.0),
    "engine, bf16": ("engine", "bfloat16", 0.0),
    "engine, bf16, killed at 60 %": ("engine", "bfloat16", 0.6),
}
"""Backend, type, and the share of its steps after which a run is killed and resumed."""
COMPARED = (
    ("TRL, float32", "engine, float32"),
    ("engine, float32", "TRL, bf16"),
    ("engine, float32", "engine, bf16"),
    ("engine, bf16", "engine, bf16, killed at 60 %"),
)


def main(base: Path, data: Path, out: Path) -> None:
    lines = ["| what | largest difference | mean difference |", "|---|---|---|"]
    lines += [single_rows(base, data, compute) for compute in ("float32", "bfloat16")]
    start = None
    for method, kind, rate in (("sft", Stage2, 1e-4), ("dpo", Stage3, 5e-6)):
        spec = spec_of(base, data, out, (method, kind, rate, start))
        with ThreadPoolExecutor(len(RUNS) if ON_GPU else 1) as several:
            folders = dict(
                zip(RUNS, several.map(lambda name, spec=spec: train(spec, name), RUNS), strict=True)
            )
        updates = {
            name: update(base, start, folder, RUNS[name][1]) for name, folder in folders.items()
        }
        for one, other in COMPARED:
            lines += compare(f"{method}: {one} – {other}", folders[one], folders[other])
            cosine = torch.cosine_similarity(updates[one], updates[other], dim=0).item()
            lines.append(
                f"| {method}: {one} – {other}: cosine of the adapters' updates | {cosine:.5f} | |"
            )
        start = str(folders["engine, float32"])
        text = "\n".join([torch.cuda.get_device_name(0) if ON_GPU else "CPU", "", *lines, ""])
        (out / "sameness.md").write_text(
            text, encoding="utf-8"
        )  # SFT's at once: time may not last for DPO's
    print(text)


def single_rows(base: Path, data: Path, compute: str) -> str:
    machine = replace(find_machine(), compute=getattr(torch, compute))
    tokenizer = load_tokenizer(base)
    if machine.device == "cpu":
        use_on_cpu()
    texts = RowFile(data / "rows.jsonl", "sft").read()
    encoded = encode_rows(tokenizer, texts, "sft", whole_text=False)
    rows = Rows([row for row in encoded if row.longest <= MAX_LENGTH][:ROWS], [])
    schedule, losses = (
        Stage2(epochs=1, effective_batch=ROWS, micro_batch=2, gradient_checkpointing=False),
        [],
    )
    for backend in ("trl", "engine"):
        training = Training(max_length=MAX_LENGTH, backend=backend)
        policy = load_policy(base, None, training, machine, ON_GPU)
        stage_run = StageRun(StageSettings(training, schedule), data, machine)
        if backend == "trl":
            trainer = sft_trainer(policy, tokenizer, rows, stage_run)
        else:
            plan = plan_stage(read_config(base), rows.train, stage_run.settings, machine)
            trainer = engine_trainer(policy, tokenizer, rows, replace(stage_run, plan=plan))
        with torch.no_grad():
            losses.append(
                torch.stack(
                    [trainer.row_loss(place).detach().float().cpu() for place in range(ROWS)]
                )
            )
    return row_of(f"TRL – engine, {compute}: loss of {ROWS} single rows", *losses)


def spec_of(base: Path, data: Path, out: Path, what: tuple) -> TrainingSpec:
    """A stage of STEPS steps; its backend and folder are each run's own."""
    method, kind, rate, start = what
    name = "pairs.jsonl" if method == "dpo" else "rows.jsonl"
    some = out / f"{method}.jsonl"
    lines = (data / name).read_text(encoding="utf-8").splitlines(keepends=True)
    some.write_text(
        "".join(lines[: STEPS * BATCH * 100 // 99]), encoding="utf-8"
    )  # one of a hundred is held out
    training = Training(max_length=MAX_LENGTH).model_dump(mode="json")
    schedule = kind(
        epochs=1,
        effective_batch=BATCH,
        micro_batch=2,
        learning_rate=rate,
        log_every=1,
        save_every=5,
    )
    number = 3 if method == "dpo" else 2
    values = schedule.model_dump(mode="json") | {"gradient_checkpointing": False}
    return TrainingSpec(
        f"stage{number}", method, str(base), start, str(some), str(out / method), training, values
    )


def train(spec: TrainingSpec, name: str) -> Path:
    """The adapter folder of one of RUNS, which trains in a process of its own."""
    backend, compute, kill_at = RUNS[name]
    folder = Path(f"{spec.out}-{backend}-{compute}{'-killed' * bool(kill_at)}")
    folder.mkdir(parents=True)
    spec = replace(spec, out=str(folder), training={**spec.training, "backend": backend})
    file = folder.with_suffix(".json")
    file.write_text(json.dumps(asdict(spec)), encoding="utf-8")
    program = [__file__, "stage", str(file), compute]
    if kill_at:
        run(file, kill_at, program)
    run(file, program=program)
    return folder


def compare(what: str, *folders: Path) -> list[str]:
    """Lines of the table on two runs."""
    lines, told = [], [telemetry(folder) for folder in folders]
    for key in ("loss", "grad_norm"):
        values = [torch.tensor([line[key] for line in one]) for one in told]
        lines.append(row_of(f"{what}: {key} of {len(values[0])} steps", *values))
    return lines


def telemetry(folder: Path) -> list[dict]:
    lines = [
        json.loads(line)
        for line in (folder / "telemetry.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    return [line for line in lines if "loss" in line]


def update(base: Path, start: str | None, folder: Path, compute: str) -> torch.Tensor:
    """What the run added to its first adapter, in one line; a new one's A is drawn in the type that
    computes.
    """
    if start:
        first = read_weights(Path(start))
    else:
        machine = replace(find_machine(), compute=getattr(torch, compute))
        policy = load_policy(base, None, Training(max_length=MAX_LENGTH), machine, True)
        first = {name: weight.detach().float().cpu() for name, weight in lora_weights(policy)}
    last = read_weights(folder)
    added = torch.cat([(last[name].float() - first[name]).flatten() for name in sorted(last)])
    return added.double()  # millions of squares, added up in float32, make a cosine of 1.001


def row_of(what: str, one: torch.Tensor, other: torch.Tensor) -> str:
    gaps = (one - other).abs() / one.abs()
    return f"| {what} | {100 * gaps.max():.3f} % | {100 * gaps.mean():.3f} % |"


def compute_in(compute: str) -> None:
    """Lets stages compute in another type than the one that suits the machine."""
    found = assembly.find_machine
    assembly.find_machine = lambda: replace(found(), compute=getattr(torch, compute))


if __name__ == "__main__":
    if sys.argv[1] == "stage":
        compute_in(sys.argv[3])
        sys.argv = ["training", sys.argv[2]]
        sys.exit(run_stage())
    main(*map(Path, sys.argv[1:4]))
