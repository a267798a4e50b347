"""What the parts of engine.py share: their rows, their clock, the line that is told.

Imports nothing of TRL, for Unsloth has to be imported before it.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from transformers import Trainer, TrainerCallback

from tasks.core.training.rows.records import IGNORED, Conversation, Pair, Row, as_tokens

WARM_UP, TIMED = 5, 9
"""Steps in which kernels are compiled or loaded and the allocator finds its blocks; and the last
ones, which count.
"""
LENGTHS = (
    ((541, 504), (245, 85), (378, 231)),
    ((438, 424), (292, 146), (460, 210)),
    ((570, 191), (326, 182), (352, 204)),
)
"""Tokens of prompt and answer: the deciles of synthesized rows, as Qwen2.5's tokenizer splits them.
Three that stand together fit into 2,048.
"""
SYSTEM_PROMPTS = (201, 170)
"""Tokens of the two with which synthesized rows begin, in English or in Korean."""


@dataclass(frozen=True)
class Size:
    config: dict[str, Any]
    rows: int  # of a step
    pairs: int  # of a step
    scale: float  # of LENGTHS
    caps: tuple[float, ...]  # GiB; 0 is none
    steps: int


FULL = Size(
    {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
    }
    | {"num_key_value_heads": 4, "vocab_size": 152_064, "tie_word_embeddings": False},
    rows=16,
    pairs=8,
    scale=1,
    caps=(8, 12, 24, 0),
    steps=14,
)
TINY = Size(
    {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
    | {"num_key_value_heads": 2, "vocab_size": 1_000, "tie_word_embeddings": False},
    rows=4,
    pairs=2,
    scale=0.05,
    caps=(0.005, 0),
    steps=8,
)


def sft_rows(size: Size, of_step: int, alike: bool = True) -> list[Conversation]:
    """Rows for all steps; a prompt's tokens are not trained. alike: each begins with one of the two
    system prompts.
    """
    rows = []
    for prompt, answer in _texts(Random(7), size, of_step * size.steps, alike):
        labels = [IGNORED] * len(prompt) + answer
        rows.append(Conversation(as_tokens(prompt + answer), as_tokens(labels)))
    return rows


def blocks(size: Size) -> list[Conversation]:
    """Three rows in a line: what packing to 2,048 tokens makes of three times as many rows. Rows
    see each other.
    """
    rows = sft_rows(size, 3 * size.rows)
    lines = []
    for first in range(0, len(rows), 3):
        three = rows[first : first + 3]
        ids = np.concatenate([row.input_ids for row in three])
        lines.append(Conversation(ids, np.concatenate([row.labels for row in three])))
    return lines


def columns_of(rows: list[Row], names: tuple[str, ...]) -> dict[str, list[list[int]]]:
    """The rows as a data set's columns."""
    return {name: [getattr(row, name).tolist() for row in rows] for name in names}


def pairs(size: Size) -> list[Pair]:
    random, made = Random(8), []
    for prompt, chosen in _texts(random, size, size.pairs * size.steps, alike=True):
        rejected = _ids(random, size, len(chosen))
        made.append(Pair(as_tokens(prompt), as_tokens(chosen), as_tokens(rejected)))
    return made


def _texts(
    random: Random, size: Size, count: int, alike: bool
) -> Iterator[tuple[list[int], list[int]]]:
    """Prompts and answers."""
    system_prompts = (
        [_ids(random, size, round(size.scale * length)) for length in SYSTEM_PROMPTS]
        if alike
        else [[]]
    )
    for prompt, answer in _lengths(size, count):
        begun = random.choice(system_prompts)
        yield begun + _ids(random, size, prompt - len(begun)), _ids(random, size, answer)


def _lengths(size: Size, count: int) -> list[tuple[int, int]]:
    random, made = Random(6), []
    while len(made) < count:
        made += random.choice(LENGTHS)
    return [
        (max(2, round(size.scale * prompt)), max(2, round(size.scale * answer)))
        for prompt, answer in made[:count]
    ]


def _ids(random: Random, size: Size, count: int) -> list[int]:
    return [random.randrange(size.config["vocab_size"]) for _ in range(count)]


class Clock(TrainerCallback):
    """Seconds of the last optimizer steps, together, and the tokens that they were given. The card
    is waited for at both ends only: to look at every step would leave it idle until the next
    one's first kernel.
    """

    def __init__(self):
        self.seconds = self.first = self._began = 0.0
        self.steps = self.tokens = self._before = 0

    def count_tokens(self, trainer: Trainer) -> None:
        step = trainer.training_step

        def counting(model, inputs, *rest, **named):
            self.tokens = self.tokens + _tokens_in(
                inputs
            )  # a tensor is not to be added to in place: it is kept, too
            return step(model, inputs, *rest, **named)

        trainer.training_step = counting

    def on_step_begin(self, args, state, control, **kwargs):
        warm_up = max(WARM_UP, state.max_steps - TIMED)
        if state.global_step in (0, warm_up):
            self.steps, self._before, self._began = state.max_steps - warm_up, self.tokens, now()

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 1:
            self.first = now() - self._began
        if state.global_step == state.max_steps:
            self.seconds, self.tokens = now() - self._began, int(self.tokens - self._before)


def _tokens_in(inputs: dict[str, Any]) -> Any:
    """Of the rows themselves, no padding: a number, or a tensor that nobody waits for yet."""
    if "step" in inputs:  # the engine's
        return sum(row.positions for row in inputs["step"].rows)
    mask = inputs.get("attention_mask")  # a batch without one is not padded
    return inputs["input_ids"].numel() if mask is None else mask.sum()


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def measure(
    what: str, trainer: Trainer, out: Path, plan=None, of_step: int = 0, before_s: float = 0.0
) -> None:
    """Trains, and appends what was seen. of_step: pairs of a step, where pairs are counted and not
    tokens; before_s: each step's share of what was computed for all steps beforehand, which
    counts in the speed and not in the step.
    """
    clock = Clock()
    if not of_step:
        clock.count_tokens(trainer)
    trainer.add_callback(clock)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    trainer.train()
    counted = of_step * clock.steps or clock.tokens
    per_s = counted / (clock.seconds + before_s * clock.steps)
    told = {
        "what": what,
        "per_s": round(per_s, 2 if per_s < 100 else 0),
        "step_s": round(clock.seconds / clock.steps, 3),
    }
    if torch.cuda.is_available():
        told |= {"peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2)}
        told |= {"reserved_gib": round(torch.cuda.max_memory_reserved() / 2**30, 2)}
    if plan:
        told |= {
            "plan": str(plan).partition("; expected")[0],
            "expected_step_s": round(plan.step_s, 3),
        }
        told |= {"expected_peak_gib": round(plan.peak_gib, 2)}
    told |= {"timed_steps": clock.steps, "counted": counted}
    told |= {"first_step_s": round(clock.first, 1), "before_s": round(before_s, 3)}
    tell(out, told)


def tell(out: Path, told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)
    with (out / "engine.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(told) + "\n")
