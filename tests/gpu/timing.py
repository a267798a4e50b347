"""What the parts of engine.py share: their rows, their clock, the line that is told.

Imports nothing of TRL, for Unsloth has to be imported before it.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import torch
from transformers import TrainerCallback

WARM_UP = 3
"""Steps in which kernels are compiled and the allocator finds its blocks."""


@dataclass(frozen=True)
class Size:
    config: dict[str, Any]
    blocks: int  # of a step
    tokens: int  # of a block
    caps: tuple[float, ...]  # GiB; 0 is none
    steps: int

    @property
    def rows(self) -> int:
        return 3 * self.blocks


FULL = Size(
    {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28}
    | {"num_key_value_heads": 4, "vocab_size": 152_064, "tie_word_embeddings": False},
    blocks=16,
    tokens=2048,
    caps=(8, 12, 24, 0),
    steps=9,
)
TINY = Size(
    {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
    | {"num_key_value_heads": 2, "vocab_size": 1_000, "tie_word_embeddings": False},
    blocks=4,
    tokens=96,
    caps=(0.005, 0),
    steps=5,
)


def blocks_of(size: Size) -> list[list[list[int]]]:
    """Every block's rows as token ids."""
    random, vocabulary, blocks = Random(7), size.config["vocab_size"], []
    for _ in range(size.blocks * size.steps):
        first, second = sorted(random.sample(range(size.tokens // 16, size.tokens - size.tokens // 16), 2))
        lengths = (first, max(second - first, 2), size.tokens - first - max(second - first, 2))
        blocks.append([[random.randrange(vocabulary) for _ in range(length)] for length in lengths])
    return blocks


class Clock(TrainerCallback):
    """Seconds and tokens of each optimizer step."""

    def __init__(self, positions):
        self._positions, self.steps, self._began = positions, [], (0.0, 0)

    def on_step_begin(self, args, state, control, **kwargs):
        self._began = now(), self._positions()

    def on_step_end(self, args, state, control, **kwargs):
        self.steps.append((now() - self._began[0], self._positions() - self._began[1]))


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def measure(what: str, trainer, positions, out: Path, plan=None) -> None:
    """Trains, and appends what was seen."""
    clock = Clock(positions)
    trainer.add_callback(clock)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    trainer.train()
    seconds, tokens = zip(*clock.steps[WARM_UP:], strict=True)
    told = {"what": what, "tokens_per_s": round(sum(tokens) / sum(seconds)), "step_s": round(median(seconds), 3)}
    if torch.cuda.is_available():
        told |= {"peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2)}
        told |= {"reserved_gib": round(torch.cuda.max_memory_reserved() / 2**30, 2)}
    if plan:
        told |= {"plan": str(plan).partition("; expected")[0], "expected_step_s": round(plan.step_s, 3)}
        told |= {"expected_peak_gib": round(plan.peak_gib, 2)}
    told |= {"first_step_s": round(clock.steps[0][0], 1)}
    tell(out, told)


def tell(out: Path, told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)
    with (out / "engine.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(told) + "\n")
