"""Several GPUs against one: tokens a second on the 7B's shape, and the loss of each step.

    python tests/gpu/cards.py OUT [--tiny]      from the repository's root; --tiny rehearses it with
        two CPU processes

Every run takes the same 16 rows (and 48) a step, as long as real ones. Writes OUT/cards.md.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

if "LOCAL_RANK" in os.environ and os.environ.get("CUDA_VISIBLE_DEVICES"):  # before torch is loaded
    os.environ["CUDA_VISIBLE_DEVICES"] = os.environ["CUDA_VISIBLE_DEVICES"].split(",")[
        int(os.environ["LOCAL_RANK"])
    ]

import torch

from tasks.core.settings.tree import Stage1
from tasks.core.training.backends.engine import engine_trainer
from tasks.core.training.backends.run import StageRun
from tasks.core.training.hardware import ranks
from tasks.core.training.hardware.machine import find_machine
from tasks.core.training.planning.planner import plan_stage
from tasks.core.training.policy.base_model import load_tokenizer, read_config
from tasks.core.training.policy.loading import load_policy
from tasks.core.training.rows.selection import Rows
from tests.gpu.engine import make_base, stage_of
from tests.gpu.timing import FULL, TINY, Size, measure, sft_rows


def main(out: Path, options: list[str]) -> None:
    out.mkdir(exist_ok=True)
    room = Path("/dev/shm")
    work = Path(tempfile.mkdtemp(dir=room if room.is_dir() else None))
    script = str(Path(__file__))
    try:
        subprocess.run(
            [sys.executable, script, "base", str(work / "base"), str(work), *options], check=True
        )
        for cards in [count for count in (1, 2, 4) if count <= (torch.cuda.device_count() or 2)]:
            launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={cards}"]
            command = [
                sys.executable,
                *launcher,
                script,
                "run",
                str(work / "base"),
                str(work),
                *options,
            ]
            visible = {"CUDA_VISIBLE_DEVICES": ",".join(str(card) for card in range(cards))}
            subprocess.run(command, check=True, timeout=300, env=os.environ | visible)
        tell_all(work, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def run(size: Size, base: Path, out: Path) -> None:
    """One process's part; the first one writes."""
    ranks.join()
    machine, policy, scratch = find_machine(), None, out / "scratch"
    size = replace(size, steps=3 * size.steps)  # the first ones load kernels for packs of all sizes
    for batch in (size.rows, 3 * size.rows):
        rows = Rows(sft_rows(size, batch), [])
        settings = stage_of(size, Stage1, batch, backend="engine", base_weights="bf16")
        schedule = settings.schedule.model_copy(update={"log_every": 1})
        settings = replace(settings, schedule=schedule)
        plan = plan_stage(read_config(base), rows.train, settings, machine)
        policy = policy or load_policy(base, None, settings.training, machine, plan.nf4)
        run_of_stage = StageRun(settings, scratch, machine, plan)
        trainer = engine_trainer(policy, load_tokenizer(base), rows, run_of_stage)
        what, folder = f"{ranks.count()} x, {batch} rows", out if ranks.number() == 0 else scratch
        folder.mkdir(exist_ok=True)
        measure(what, trainer, folder, plan)
        if ranks.number() == 0:
            losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
            with (out / "losses.jsonl").open("a", encoding="utf-8") as file:
                file.write(
                    json.dumps({"cards": ranks.count(), "rows": batch, "losses": losses}) + "\n"
                )
        del trainer
        policy.zero_grad(set_to_none=True)
    ranks.leave()


def tell_all(work: Path, out: Path) -> None:
    speeds = [
        json.loads(line)
        for line in (work / "engine.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    losses = [
        json.loads(line)
        for line in (work / "losses.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    lines = [
        "| GPUs, rows a step | tokens/s | times one GPU | step s | peak GiB | loss differs by |",
        "|---" * 6 + "|",
    ]
    for speed, told in zip(speeds, losses, strict=True):
        place = next(number for number, one in enumerate(losses) if one["rows"] == told["rows"])
        times = speed["per_s"] / speeds[place]["per_s"]
        gap = max(
            abs(a - b) / b for a, b in zip(told["losses"], losses[place]["losses"], strict=True)
        )
        cells = [
            speed["what"],
            f"{speed['per_s']:.0f}",
            f"{times:.2f}",
            speed["step_s"],
            speed.get("peak_gib", ""),
        ]
        lines.append("| " + " | ".join(map(str, cells)) + f" | {100 * gap:.3f} % |")
    text = "\n".join(
        [torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU", "", *lines, ""]
    )
    (out / "cards.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    os.environ.setdefault("TQDM_DISABLE", "1")
    chosen = TINY if "--tiny" in sys.argv else FULL
    if sys.argv[1] == "base":
        make_base(chosen, *map(Path, sys.argv[2:4]))
    elif sys.argv[1] == "run":
        run(chosen, *map(Path, sys.argv[2:4]))
    else:
        main(Path(sys.argv[1]), sys.argv[2:])
