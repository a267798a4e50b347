"""How fast and how large training on Qwen2.5-7B's shape is: our engine under memory caps, Unsloth, plain TRL.

    python tests/gpu/engine.py OUT [--tiny]      from the repository's root; --tiny rehearses all of it on a CPU

The weights are random: this times, it proves no sameness. All train the same tokens, 16 blocks of 2,048 a step, each
of three rows of uneven length. The engine trains the rows, the others the blocks, which spares them all padding. Every
token is trained. Appends a JSON line per measurement to OUT/engine.jsonl and writes OUT/engine.md; each part runs in a
process of its own with a time limit, all of them take less than eight minutes.
"""

import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from tasks.core.settings import Stage1, Training
from tasks.core.training.cpu_kernel import use_on_cpu
from tasks.core.training.engine.trainers import engine_trainer
from tasks.core.training.machine import look
from tasks.core.training.model import load_policy, load_tokenizer, read_config
from tasks.core.training.planner import plan_stage
from tasks.core.training.rows import Rows
from tasks.core.training.trainers import sft_trainer
from tests.gpu.timing import FULL, TINY, Size, blocks_of, measure, tell
from tests.tiny import make_tokenizer

ALL_SECONDS = 470
LIMITS = {"base": 100, "engine": 260, "unsloth": 130, "trl": 100}
COLUMNS = ("what", "tokens_per_s", "step_s", "expected_step_s", "peak_gib", "expected_peak_gib", "reserved_gib", "plan")


def rows_of(sequences: list[list[int]]) -> Rows:
    return Rows([{"input_ids": ids, "labels": ids, "positions": len(ids)} for ids in sequences], [])


def stage_of(size: Size, rows: int, out: Path, **training) -> tuple[Training, Stage1, Path]:
    schedule = Stage1(epochs=1, effective_batch=rows, micro_batch=min(rows, 2), save_every=10**6, log_every=1)
    return Training(max_length=size.tokens, **training), schedule, out


def make_base(size: Size, base: Path, out: Path) -> None:
    """Random weights in bf16, made where they are fastest made."""
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        Qwen2ForCausalLM(Qwen2Config(**size.config)).save_pretrained(base, max_shard_size="2GB")
    make_tokenizer().save_pretrained(base)


def run_engine(size: Size, base: Path, out: Path) -> None:
    rows, machine, policy, nf4 = rows_of([row for block in blocks_of(size) for row in block]), look(), None, None
    total = torch.cuda.get_device_properties(0).total_memory / 2**30 if machine.device == "cuda" else 8
    for cap in size.caps:
        stage = stage_of(size, size.rows, base.parent / "trainer", memory_gib=cap or total - 4, backend="engine")
        plan = plan_stage(read_config(base), rows.train, stage[:2], machine)
        if policy is None or plan.nf4 != nf4:
            policy, nf4 = None, plan.nf4
            if machine.device == "cuda":
                torch.cuda.empty_cache()
            policy = load_policy(base, None, stage[0], machine, plan.nf4)
        trainer = engine_trainer(policy, load_tokenizer(base), rows, (*stage, plan), machine)
        measure(
            f"engine, cap {cap:g} GiB" if cap else "engine, no cap", trainer, lambda t=trainer: t.positions, out, plan
        )
        del trainer
        policy.zero_grad(set_to_none=True)
        gc.collect()  # the trainer and its clock hold each other, the optimizer's state and the engine's weights


def run_trl(size: Size, base: Path, out: Path) -> None:
    machine, rows = look(), rows_of([sum(block, []) for block in blocks_of(size)])
    if machine.device == "cpu":
        use_on_cpu()
    stage = stage_of(size, size.blocks, base.parent / "trainer", gradient_checkpointing=True)
    policy = load_policy(base, None, stage[0], machine)
    trainer = sft_trainer(policy, load_tokenizer(base), rows, stage, machine)
    measure("TRL, 2 x 8", trainer, lambda: trainer.positions, out)


def main(out: Path, options: list[str]) -> None:
    """Runs every part within its time, and draws the table of what came of it."""
    began, room = time.monotonic(), Path("/dev/shm")
    roomy = room.is_dir() and shutil.disk_usage(room).free > 20 * 2**30
    work = Path(tempfile.mkdtemp(dir=room if roomy else None))
    (out / "engine.jsonl").unlink(missing_ok=True)
    try:
        for part, limit in LIMITS.items():
            left = min(limit, ALL_SECONDS - (time.monotonic() - began))
            program = [__file__, part] if part != "unsloth" else [str(Path(__file__).with_name("unsloth_sft.py"))]
            command = [sys.executable, *program, str(work / "base"), str(out), *options]
            try:
                code = subprocess.run(command, timeout=max(left, 1), check=False).returncode
            except subprocess.TimeoutExpired:
                code = f"no end within {left:.0f} s"
            print(f"{part}: {code}, {time.monotonic() - began:.0f} s so far", flush=True)
            if code:
                tell(out, {"what": f"{part} failed", "plan": f"exit {code}"})
    finally:
        shutil.rmtree(work, ignore_errors=True)
    write_table(out)


def write_table(out: Path) -> None:
    lines = [json.loads(line) for line in (out / "engine.jsonl").read_text(encoding="utf-8").splitlines()]
    card = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
    table = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    table += [f"| {' | '.join(str(line.get(name, '')) for name in COLUMNS)} |" for line in lines]
    text = "\n".join([f"{card}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}", "", *table, ""])
    (out / "engine.md").write_text(text, encoding="utf-8")
    print(text)


PARTS = {"base": make_base, "engine": run_engine, "trl": run_trl}

if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    os.environ.setdefault("TQDM_DISABLE", "1")
    chosen = TINY if "--tiny" in sys.argv else FULL
    if sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](chosen, *map(Path, sys.argv[2:4]))
    else:
        main(Path(sys.argv[1]), sys.argv[2:])
