"""What a stage gives up when the card is full, one thing a try, until it fits.

Nothing but the end of a process gives all of the card's memory back, so each try is a process of
its own, which goes on from the newest intact checkpoint. First goes what changes nothing of what is
trained; then, only with training.shrink, length, rank and modules, and then the stage starts again
from its beginning. Each try is lighter than the one before it, so none is made twice. Reads and
writes OUT/tries.json, the record of what was given up and why.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from tasks.core.errors import WorkError
from tasks.core.files.json_files import write_json
from tasks.core.settings.tree import Stage, Training
from tasks.core.training.planning.plan import NothingFits, Plan
from tasks.core.training.rows.selection import Rows
from tasks.core.training.rows.sequences import tokens_of
from tasks.core.training.spec import StageSettings, TrainingSpec
from tasks.core.training.watch.telemetry import read_telemetry

TRIES = "tries.json"
_LEAST_LENGTH, _LEAST_RANK, _LAST_MODULES = 1024, 16, ["q_proj", "v_proj"]
_FULL = (
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)  # what CUDA's libraries say beside torch.OutOfMemoryError


class CardFull(WorkError):
    """The card was full, and what the next try gives up is written down: the same command may be
    started again.
    """

    def __init__(self, step: int, text: str):
        super().__init__(text)
        self.step = step


@dataclass
class Try:
    """What a process trains with, as far as it takes memory.

    plan: of the engine, once there is one; earlier: what was given up before, as `read_tries` tells
    it.
    """

    settings: StageSettings
    rows: Rows
    continues: bool  # an earlier stage's adapter, whose shape it cannot change
    plan: Plan | None = None
    earlier: list[dict[str, Any]] = field(default_factory=list)


def read_tries(out: Path) -> list[dict[str, Any]]:
    """What was given up so far: [{"step", "error", "was": {setting: value}, "now": {setting:
    value}, "anew"}].

    anew: what was trained before is still to be removed.
    """
    file = out / TRIES
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else []


def begin(out: Path) -> list[dict[str, Any]]:
    """What was given up so far. Checkpoints of other rows or of another adapter than the last try's
    are removed.

    Here, and not when the card was full: another card's process may still have been writing then.
    """
    tries = read_tries(out)
    if tries and tries[-1].get("anew"):
        shutil.rmtree(out / "checkpoints", ignore_errors=True)
        (out / "telemetry.jsonl").unlink(missing_ok=True)
        tries[-1]["anew"] = False
        write_json(out / TRIES, tries)
    return tries


def given_up(tries: list[dict[str, Any]]) -> dict[str, Any]:
    """What is in force now. `tokens` and `checkpointed` are the engine's plan's, the others
    settings.
    """
    return {name: value for told in tries for name, value in told["now"].items()}


def in_force(spec: TrainingSpec, tries: list[dict[str, Any]]) -> TrainingSpec:
    """The spec with what earlier tries gave up, and with training.shrink in the shape that its
    start was shrunk to.
    """
    now = given_up(tries)
    if spec.start and spec.training.get("shrink"):
        now |= _shape_of(Path(spec.start), spec.training)
    training = spec.training | {
        name: value for name, value in now.items() if name in Training.model_fields
    }
    schedule = spec.schedule | {
        name: value for name, value in now.items() if name in Stage.model_fields
    }
    return replace(spec, training=training, schedule=schedule)


@contextmanager
def giving_way(out: Path, tried: Try) -> Iterator[None]:
    """Raises CardFull where the card gets full and something is left to give up, else WorkError or
    NothingFits.
    """
    try:
        yield
    except NothingFits as error:
        now, full = _untried(tried, _smaller(tried)), str(error)
        if now is None:
            raise
    except RuntimeError as error:
        if not is_full(error):
            raise
        now, full = (
            _untried(tried, lighter(tried)),
            f"The GPU's memory is full: {str(error).partition('. ')[0]}.",
        )
        if now is None:
            raise WorkError(
                f"{full} Nothing is left to give up: {_in_use(tried)}. {_remedy(tried)}"
            ) from None
    else:
        return
    raise _give_way(out, tried, now, full)


def is_full(error: RuntimeError) -> bool:
    """It is one of those that PyTorch and CUDA's libraries raise where the card's memory is full."""
    return isinstance(error, torch.OutOfMemoryError) or any(said in str(error) for said in _FULL)


def lighter(tried: Try) -> dict[str, Any] | None:
    """The next thing to give up, {name: new value}; None if nothing is left."""
    same = _lighter_plan(tried) if tried.plan else _lighter_batch(tried.settings.schedule)
    return same or _smaller(tried)


def _untried(tried: Try, now: dict[str, Any] | None) -> dict[str, Any] | None:
    """None where it was given up before and was of no use, or the program would start over for
    ever.
    """
    return None if any(told["now"] == now for told in tried.earlier) else now


def _give_way(out: Path, tried: Try, now: dict[str, Any], full: str) -> CardFull:
    was = {name: _values(tried)[name] for name in now}
    step = max((line["step"] for line in read_telemetry(out / "telemetry.jsonl")), default=0)
    anew = bool(now.keys() & {"max_length", "lora_rank", "target_modules"})
    # not what the file says by now: where several cards are full at once, each writes the same
    write_json(
        out / TRIES,
        [*tried.earlier, {"step": step, "error": full, "was": was, "now": now, "anew": anew}],
    )
    return CardFull(step, f"{full} The next try takes {_change(was, now)}.")


def tell_tries(tries: list[dict[str, Any]]) -> list[str]:
    """What was given up and why, a sentence a try."""
    return [
        f"Step {told['step']}: {told['error']} Then {_change(told['was'], told['now'])}."
        for told in tries
    ]


def _change(was: dict[str, Any], now: dict[str, Any]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value} instead of {was[name]}" for name, value in now.items()
    )


def _lighter_plan(tried: Try) -> dict[str, Any] | None:
    plan, least = tried.plan, max(tokens_of([row]) for row in tried.rows.train)
    if plan.tokens > least:
        return {"tokens": max(least, plan.tokens // 2)}
    if plan.checkpointed < plan.layers:
        return {"checkpointed": (plan.checkpointed + plan.layers + 1) // 2}
    if not plan.nf4 and tried.settings.training.base_weights == "auto":
        return {"base_weights": "nf4"}
    return None


def _lighter_batch(schedule: Stage) -> dict[str, Any] | None:
    """Accumulation makes up the effective batch, so the micro-batch has to divide it."""
    if schedule.micro_batch > 1:
        fitting = range(schedule.micro_batch // 2, 0, -1)
        return {
            "micro_batch": next(size for size in fitting if schedule.effective_batch % size == 0)
        }
    return None if schedule.gradient_checkpointing else {"gradient_checkpointing": True}


def _smaller(tried: Try) -> dict[str, Any] | None:
    """What changes the rows or the adapter, where training.shrink allows it."""
    training, lengths = tried.settings.training, [row.longest for row in tried.rows.train]
    if not training.shrink:
        return None
    shorter = max(_LEAST_LENGTH, max(lengths) // 2)
    if min(lengths) <= shorter < max(lengths):
        return {"max_length": shorter}
    if tried.continues:
        return None
    if training.lora_rank > _LEAST_RANK:
        rank = max(_LEAST_RANK, training.lora_rank // 2)  # alpha / r stays what it is
        return {
            "lora_rank": rank,
            "lora_alpha": max(1, training.lora_alpha * rank // training.lora_rank),
        }
    fewer = [name for name in training.target_modules if name in _LAST_MODULES]
    return {"target_modules": fewer} if fewer and fewer != training.target_modules else None


def _values(tried: Try) -> dict[str, Any]:
    plan = (
        {"tokens": tried.plan.tokens, "checkpointed": tried.plan.checkpointed} if tried.plan else {}
    )
    return tried.settings.schedule.model_dump() | tried.settings.training.model_dump() | plan


def _in_use(tried: Try) -> str:
    if tried.plan:
        return f"it trained with {tried.plan}"
    schedule = tried.settings.schedule
    checkpointing = "with" if schedule.gradient_checkpointing else "without"
    return (
        f"it trained {schedule.micro_batch} row at a time, {checkpointing} gradient checkpointing"
    )


def _remedy(tried: Try) -> str:
    length = max(row.longest for row in tried.rows.train)
    half = f"training.max_length={max(1, length // 2)} (the longest row has {length} tokens)"
    if tried.settings.training.shrink:
        return f"Set {half}, or take a larger card or a smaller base."
    return f"Set {half} or training.shrink=true, or take a larger card or a smaller base."


def _shape_of(start: Path, training: dict[str, Any]) -> dict[str, Any]:
    """The shape of an adapter that is smaller than the settings ask for; nothing if it is not."""
    try:
        config = json.loads((start / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # it is refused later, in other words
    modules = [name for name in training["target_modules"] if name in config["target_modules"]]
    if config["r"] > training["lora_rank"] or len(modules) != len(config["target_modules"]):
        return {}
    return {"lora_rank": config["r"], "lora_alpha": config["lora_alpha"], "target_modules": modules}
