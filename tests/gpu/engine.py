"""Tokens a second and memory of training on the 7B's shape: our engine under memory caps, Unsloth,
plain TRL.

    python tests/gpu/engine.py OUT PART,PART… [--tiny]      from the repository's root; --tiny
        rehearses it on a CPU

Parts: engine, unsloth-sft, unsloth-packed, trl; engine-dpo, unsloth-dpo, trl-dpo.

The weights are random: this times, it proves no sameness. Rows are as long as real ones, begin with
one of two system prompts as those do (but for two cases), and their answers alone are trained; all
train the same rows, 16 a step (8 pairs), and once more three times as many, which the others get
packed to 2,048 tokens. Appends a JSON line per measurement to OUT/engine.jsonl and writes
OUT/engine.md; each part runs in a process of its own with a time limit.
"""

import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from datasets import Dataset
from transformers import Qwen2Config, Qwen2ForCausalLM
from trl import DPOConfig, DPOTrainer

from tasks.core.settings.tree import Stage1, Stage3, Training
from tasks.core.training.backends.arguments import trainer_arguments
from tasks.core.training.backends.cpu_kernel import use_on_cpu
from tasks.core.training.backends.engine import engine_trainer
from tasks.core.training.backends.run import StageRun
from tasks.core.training.backends.trl import sft_trainer
from tasks.core.training.hardware.machine import find_machine, measure_speed
from tasks.core.training.planning.costs import shape_of
from tasks.core.training.planning.plan import Limits
from tasks.core.training.planning.planner import make_plan, works_of
from tasks.core.training.policy.base_model import load_tokenizer, read_config
from tasks.core.training.policy.loading import load_policy
from tasks.core.training.rows.selection import Rows
from tasks.core.training.spec import StageSettings
from tests.gpu.timing import (
    FULL,
    TINY,
    Size,
    columns_of,
    measure,
    now,
    pairs,
    sft_rows,
    tell,
)
from tests.tiny import make_tokenizer

LIMITS = {  # seconds
    "engine": 300,
    "unsloth-sft": 130,
    "unsloth-packed": 150,
    "trl": 130,
    "engine-dpo": 120,
    "unsloth-dpo": 160,
    "trl-dpo": 160,
}
COLUMNS = (
    "what",
    "per_s",
    "step_s",
    "expected_step_s",
    "peak_gib",
    "expected_peak_gib",
    "reserved_gib",
    "plan",
)


def stage_of(size: Size, kind, batch: int, **training) -> StageSettings:
    schedule = kind(
        epochs=1,
        effective_batch=batch,
        micro_batch=2 - batch % 2,
        save_every=10**6,
        log_every=size.steps,
    )
    return StageSettings(Training(max_length=2048, **training), schedule)


def make_base(size: Size, base: Path, out: Path) -> None:
    """Random weights in bf16, made where they are fastest made."""
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        Qwen2ForCausalLM(Qwen2Config(**size.config)).save_pretrained(base, max_shard_size="2GB")
    make_tokenizer().save_pretrained(base)


def run_engine(size: Size, base: Path, out: Path) -> None:
    """With each cap, and without one for as many rows as the others get packed; rows that begin
    alike, and others.
    """
    few, many, (*caps, none) = size.rows, 3 * size.rows, size.caps
    cases = [Case(few, cap) for cap in caps] + [
        Case(many, caps[-1]),
        Case(few, none),
        Case(many, none),
    ]
    loaded = {}
    for case in [*cases, Case(few, none, alike=False), Case(many, none, alike=False)]:
        _run_case(size, base, out, case, loaded)


def run_engine_dpo(size: Size, base: Path, out: Path) -> None:
    """Without a cap and with one of 24 GiB; the reference's pass is counted."""
    loaded = {}
    for cap in size.caps[-2:]:
        _run_case(size, base, out, Case(size.pairs, cap, Stage3), loaded)


@dataclass(frozen=True)
class Case:
    batch: int  # rows of a step
    cap: float  # GiB; 0 is none
    kind: type = Stage1
    alike: bool = True


def _run_case(size: Size, base: Path, out: Path, case: Case, loaded: dict) -> None:
    """loaded: the policy of the case before under its form of weights."""
    batch, cap, kind, machine = case.batch, case.cap, case.kind, find_machine()
    if (
        cap == size.caps[0]
    ):  # many small micro-batches: kernels for their many sizes are loaded for a dozen steps
        size = replace(size, steps=size.steps + 10)
    rows = Rows(pairs(size) if kind is Stage3 else sft_rows(size, batch, case.alike), [])
    total = (
        torch.cuda.get_device_properties(0).total_memory / 2**30 if machine.device == "cuda" else 8
    )
    settings = stage_of(size, kind, batch, backend="engine")
    training = settings.training
    shape, weights = (
        shape_of(read_config(base), training, machine),
        "auto" if machine.device == "cuda" else "bf16",
    )
    speed = measure_speed(machine, shape.hidden, shape.intermediate)
    print(speed, flush=True)
    # not plan_stage: the policy of the case before is on the card, and would count as memory that
    # is not there
    works = works_of(rows.train, batch, training.seed)
    plan = make_plan(shape, works, speed, Limits(cap or total - 4, weights))
    if plan.nf4 not in loaded:
        loaded.clear()
        gc.collect()
        if machine.device == "cuda":
            torch.cuda.empty_cache()
        loaded[plan.nf4] = load_policy(base, None, training, machine, plan.nf4)
    run = StageRun(settings, base.parent / "trainer", machine, plan)
    trainer = engine_trainer(loaded[plan.nf4], load_tokenizer(base), rows, run)
    what, of_step, before_s = f"engine, {batch} rows" + ", none alike" * (not case.alike), 0, 0.0
    if kind is Stage3:
        what, of_step, began = f"engine DPO, {batch} pairs", batch, now()
        trainer.use_reference(None)
        before_s = (now() - began) / size.steps
    measure(what + (f", cap {cap:g} GiB" if cap else ""), trainer, out, plan, of_step, before_s)
    del trainer
    loaded[plan.nf4].zero_grad(set_to_none=True)
    # the trainer and its clock hold each other, the optimizer's state and the engine's weights
    gc.collect()


def run_trl(size: Size, base: Path, out: Path) -> None:
    """As TRL's and PEFT's documentation shows QLoRA: 2 rows, 8 times, checkpointed. The optimizer
    is ours, which never waits.
    """
    machine = find_machine()
    if machine.device == "cpu":
        use_on_cpu()
    run = StageRun(stage_of(size, Stage1, size.rows), base.parent / "trainer", machine)
    policy = load_policy(base, None, run.settings.training, machine)
    rows = sft_rows(size, size.rows)
    trainer = sft_trainer(policy, load_tokenizer(base), Rows(rows, []), run)
    measure("TRL, 2 x 8", trainer, out)


class Untouched(DPOTrainer):
    """The pairs come as tokens."""

    def _prepare_dataset(self, dataset, *args, **kwargs):
        return dataset


def run_trl_dpo(size: Size, base: Path, out: Path) -> None:
    """TRL's own trainer, whose reference is a clone of the adapter."""
    machine, rows = find_machine(), pairs(size)
    if machine.device == "cpu":
        use_on_cpu()
    run = StageRun(stage_of(size, Stage3, size.pairs), base.parent / "trainer", machine)
    policy = load_policy(base, None, run.settings.training, machine)
    told = trainer_arguments(run, len(rows)) | {"per_device_train_batch_size": 1}
    columns = columns_of(rows, ("prompt_ids", "chosen_ids", "rejected_ids"))
    trainer = Untouched(
        model=policy,
        args=DPOConfig(
            **told | {"gradient_accumulation_steps": size.pairs}, max_length=None, beta=0.1
        ),
        train_dataset=Dataset.from_dict(columns),
        processing_class=load_tokenizer(base),
    )
    measure("TRL DPO, 1 x 8", trainer, out, of_step=size.pairs)


def main(out: Path, parts: list[str], options: list[str]) -> None:
    """Runs every part within its time, and draws the table of what came of it."""
    out.mkdir(exist_ok=True)
    began, room = time.monotonic(), Path("/dev/shm")
    roomy = room.is_dir() and shutil.disk_usage(room).free > 20 * 2**30
    work = Path(tempfile.mkdtemp(dir=room if roomy else None))
    try:
        for part in ["base", *parts]:
            limit = LIMITS.get(part, 60)
            program = [__file__, part]
            if part.startswith("unsloth-"):
                program = [
                    str(Path(__file__).with_name("unsloth_parts.py")),
                    part.removeprefix("unsloth-"),
                ]
            command = [sys.executable, *program, str(work / "base"), str(out), *options]
            try:
                code = subprocess.run(command, timeout=limit, check=False).returncode
            except subprocess.TimeoutExpired:
                code = f"no end within {limit} s"
            print(f"{part}: {code}, {time.monotonic() - began:.0f} s so far", flush=True)
            if code:
                tell(out, {"what": f"{part} failed", "plan": f"exit {code}"})
            if (out / "engine.jsonl").exists():
                text = write_table(
                    out
                )  # after each part: a later part may be killed before the last one ends
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(text)


def write_table(out: Path) -> str:
    lines = [
        json.loads(line) for line in (out / "engine.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    card = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
    table = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    table += [f"| {' | '.join(str(line.get(name, '')) for name in COLUMNS)} |" for line in lines]
    text = "\n".join(
        [f"{card}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}", "", *table, ""]
    )
    (out / "engine.md").write_text(text, encoding="utf-8")
    return text


PARTS = {
    "base": make_base,
    "engine": run_engine,
    "engine-dpo": run_engine_dpo,
    "trl": run_trl,
    "trl-dpo": run_trl_dpo,
}

if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    os.environ.setdefault("TQDM_DISABLE", "1")
    chosen = TINY if "--tiny" in sys.argv else FULL
    if sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](chosen, *map(Path, sys.argv[2:4]))
    else:
        main(Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3:])
