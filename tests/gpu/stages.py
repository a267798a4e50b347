"""The three stages on a GPU machine, alone: no Prefect, no DuckDB, nothing but `python -m
tasks.core.training`.

    python tests/gpu/stages.py DOWNLOAD DATA OUT PROFILE SETTING…      from the repository's root

Reads DOWNLOAD/base, a model folder, and DATA with rows.parquet (Stage 1), rows.jsonl (Stage 2) and
pairs.jsonl (Stage 3); PROFILE and SETTING… are what `kospilot artifacts import` is told afterwards.
Writes one adapter folder per stage into OUT and OUT/table.md. Stage 2 is killed outright half-way
and resumed.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from tasks.core.settings.profiles import load
from tasks.core.steps import chain
from tasks.core.training.spec import StageInputs, StageSettings, rows_file, training_spec

SHOWN = (
    *(
        "rows",
        "positions_trained",
        "steps",
        "first_loss",
        "final_loss",
        "eval_loss",
        "tokens_per_s",
    ),
    *("peak_memory_gib", "expected_peak_gib", "step_s", "expected_step_s"),
)


def main(download: Path, data: Path, out: Path, profile: str, settings: list[str]) -> None:
    """Trains the stages one after the other, and draws the table after each."""
    resolved = load(profile, settings).settings
    table = []
    start = None
    for stage in resolved.trained_stages:
        folder = out / stage
        folder.mkdir(parents=True)
        rows = data / rows_file(chain(resolved)[stage].reads).name
        own = StageSettings(resolved.training, getattr(resolved, stage))
        spec = training_spec(stage, own, StageInputs(download / "base", rows, start), folder)
        spec_file = out / f"{stage}.json"
        spec_file.write_text(json.dumps(asdict(spec)))
        lost_s = run(spec_file, kill_at=0.5) if stage == "stage2" else 0.0
        seconds = run(spec_file)
        told = json.loads((folder / "metrics.json").read_text())
        assert (stage == "stage2") == bool(told["resumed_from"]), (
            "Stage 2 alone was killed, and goes on from there"
        )
        figures = [shown(told.get(name)) for name in SHOWN]
        table.append([stage, *figures, f"{lost_s:.0f} + {seconds:.0f}", str(told["resumed_from"])])
        write_table(table, out / "table.md")
        start = folder


def shown(value: float | None) -> str:
    """As a cell; some backends tell less than others."""
    return "–" if value is None else f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"


def write_table(rows: list[list[str]], file: Path) -> None:
    head = ["stage", *SHOWN, "seconds", "resumed from"]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    card = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
    text = "\n".join(
        [f"{card}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}", "", *lines, ""]
    )
    file.write_text(text, encoding="utf-8")
    print(text, flush=True)


def run(spec_file: Path, kill_at: float = 2.0, program: Sequence[str] = ()) -> float:
    """One stage in a process of its own, and its seconds.

    kill_at: share of its steps after which it is killed; program: what to run instead of the
    stage's own.
    """
    command, began = (
        [sys.executable, *(program or ("-m", "tasks.core.training", str(spec_file)))],
        time.monotonic(),
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            told = json.loads(line)
            if told["step"] >= kill_at * told["steps"]:
                process.send_signal(signal.SIGKILL)
                break
        code = process.wait()
    assert code == (-signal.SIGKILL if kill_at < 1 else 0), f"{spec_file.stem} exited with {code}"
    return time.monotonic() - began


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), sys.argv[4], sys.argv[5:])
