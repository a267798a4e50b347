"""What a stage gives up when the card is full, one thing a try, until it fits.

Only the end of a process gives all of the card's memory back, so each try is a process of its own,
which goes on from the newest intact checkpoint. What changes nothing of what is trained goes first.
After that, and only with training.shrink, length, rank and modules go, and the stage starts again
from its beginning. Each try is lighter than the one before it, so none is made twice. Reads and
writes OUT/tries.json, the record of what was given up and why.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from tasks.core.errors import WorkError
from tasks.core.files.json_files import read_json, read_whole_objects, write_json
from tasks.core.settings.tree import Stage, Training
from tasks.core.training.planning.plan import NothingFits, Plan
from tasks.core.training.rows.selection import Rows
from tasks.core.training.rows.sequences import count_tokens
from tasks.core.training.spec import StageSettings, TrainingSpec

TRIES = "tries.json"
_LEAST_LENGTH = 1024
_LEAST_RANK = 16
_LAST_MODULES = ("q_proj", "v_proj")
_SHAPES = ("max_length", "lora_rank", "target_modules")
"""What changes the rows or the adapter, so that the stage has to start again."""
_FULL = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What CUDA's libraries say if they do not raise torch.OutOfMemoryError."""


class CardFull(WorkError):
    """The card was full, and what the next try gives up is written down.

    The same command can be started again.
    """

    def __init__(self, step: int, text: str):
        super().__init__(text)
        self.step = step


@dataclass(frozen=True)
class GivenUp:
    """What a try gave up, and why: an entry of tries.json."""

    step: int
    error: str
    was: dict[str, Any]  # the values before, by the names of their settings
    now: dict[str, Any]  # the values after
    anew: bool = False  # whether what was trained before has still to be removed


@dataclass
class Try:
    """What decides the memory that a process takes."""

    settings: StageSettings
    rows: Rows
    continues: bool  # whether it continues an adapter, whose shape it cannot change
    plan: Plan | None = None  # the engine's, once there is one
    earlier: list[GivenUp] = field(default_factory=list)  # what the tries before gave up


def read_tries(out: Path) -> list[GivenUp]:
    """Returns what was given up so far."""
    file = out / TRIES
    if not file.exists():
        return []
    return [GivenUp(**entry) for entry in read_json(file)]


def _write_tries(out: Path, tries: list[GivenUp]) -> None:
    write_json(out / TRIES, [asdict(entry) for entry in tries])


def begin_try(out: Path) -> list[GivenUp]:
    """Returns what was given up so far.

    Checkpoints of other rows or of another adapter than the last try's are removed: here, and not
    when the card was full, because another card's process may still have been writing then.
    """
    tries = read_tries(out)
    if tries and tries[-1].anew:
        shutil.rmtree(out / "checkpoints", ignore_errors=True)
        (out / "telemetry.jsonl").unlink(missing_ok=True)
        tries[-1] = replace(tries[-1], anew=False)
        _write_tries(out, tries)
    return tries


def collect_given_up(tries: list[GivenUp]) -> dict[str, Any]:
    """Returns what is in force now, by its name.

    `tokens` and `checkpointed` are the engine's plan's, the others are settings.
    """
    now: dict[str, Any] = {}
    for entry in tries:
        now |= entry.now
    return now


def apply_tries(spec: TrainingSpec, tries: list[GivenUp]) -> TrainingSpec:
    """Returns the spec with what earlier tries gave up.

    With training.shrink it also takes the shape that its start was shrunk to.
    """
    now = collect_given_up(tries)
    if spec.start and spec.training.get("shrink"):
        now |= _shrunk_shape_of(Path(spec.start), spec.training)
    training = dict(spec.training)
    schedule = dict(spec.schedule)
    for name, value in now.items():
        if name in Training.model_fields:
            training[name] = value
        if name in Stage.model_fields:
            schedule[name] = value
    return replace(spec, training=training, schedule=schedule)


def _shrunk_shape_of(start: Path, training: dict[str, Any]) -> dict[str, Any]:
    """Returns the shape of an adapter that is smaller than the settings ask for.

    If it is not smaller, nothing is returned.
    """
    try:
        config = read_json(start / "adapter_config.json")
    except (OSError, ValueError):
        return {}  # the start is refused later, in other words
    modules = [name for name in training["target_modules"] if name in config["target_modules"]]
    if config["r"] > training["lora_rank"] or len(modules) != len(config["target_modules"]):
        return {}
    return {"lora_rank": config["r"], "lora_alpha": config["lora_alpha"], "target_modules": modules}


@contextmanager
def giving_way(out: Path, tried: Try) -> Iterator[None]:
    """Raises CardFull if the card gets full inside and something is left to give up.

    If nothing is left it raises WorkError, or NothingFits if there was no plan at all.
    """
    try:
        yield
    except NothingFits as error:
        now = _untried(tried, _smaller(tried))
        if now is None:
            raise
        reason = str(error)
    except RuntimeError as error:
        if not is_full(error):
            raise
        now = _untried(tried, find_lighter(tried))
        reason = f"The GPU's memory is full: {str(error).partition('. ')[0]}."
        if now is None:
            raise WorkError(
                f"{reason} Nothing is left to give up: {_in_use(tried)}. {_remedy(tried)}"
            ) from None
    else:
        return
    raise _give_way(out, tried, now, reason)


def is_full(error: RuntimeError) -> bool:
    """Says whether PyTorch or a library of CUDA raised the error because the memory is full."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in _FULL)


def _untried(tried: Try, now: dict[str, Any] | None) -> dict[str, Any] | None:
    """Returns what to give up, or None if it was given up before and was of no use.

    Otherwise the program would start over for ever.
    """
    if any(entry.now == now for entry in tried.earlier):
        return None
    return now


def _give_way(out: Path, tried: Try, now: dict[str, Any], reason: str) -> CardFull:
    """Writes down what is given up, and returns the error that says so."""
    values = _values(tried)
    was = {name: values[name] for name in now}
    steps = [line["step"] for line in read_whole_objects(out / "telemetry.jsonl")]
    step = max(steps, default=0)
    anew = any(name in _SHAPES for name in now)
    # not added to what the file says by now: several cards that are full at once write the same
    _write_tries(out, [*tried.earlier, GivenUp(step, reason, was, now, anew)])
    return CardFull(step, f"{reason} The next try takes {_change(was, now)}.")


def describe_tries(tries: list[GivenUp]) -> list[str]:
    """Returns a sentence on each thing that was given up, and why."""
    return [
        f"Step {entry.step}: {entry.error} Then {_change(entry.was, entry.now)}." for entry in tries
    ]


def _change(was: dict[str, Any], now: dict[str, Any]) -> str:
    changes = []
    for name, value in now.items():
        changes.append(f"{name.replace('_', ' ')} {value} instead of {was[name]}")
    return ", ".join(changes)


def find_lighter(tried: Try) -> dict[str, Any] | None:
    """Returns the next thing to give up, {name: new value}; None if nothing is left."""
    if tried.plan:
        same_result = _lighter_plan(tried.plan, tried)
    else:
        same_result = _lighter_batch(tried.settings.schedule)
    return same_result or _smaller(tried)


def _lighter_plan(plan: Plan, tried: Try) -> dict[str, Any] | None:
    least = max(count_tokens([row]) for row in tried.rows.train)
    if plan.tokens > least:
        return {"tokens": max(least, plan.tokens // 2)}
    if plan.checkpointed < plan.layers:
        return {"checkpointed": (plan.checkpointed + plan.layers + 1) // 2}
    may_be_nf4 = plan.quantized and tried.settings.training.base_weights == "auto"
    if may_be_nf4 and not plan.nf4:
        return {"base_weights": "nf4"}
    return None


def _lighter_batch(schedule: Stage) -> dict[str, Any] | None:
    """Returns what of the batch can be given up; None if nothing is left.

    Accumulation makes up the effective batch, so the micro-batch has to divide it.
    """
    if schedule.micro_batch > 1:
        smaller = schedule.micro_batch // 2
        while schedule.effective_batch % smaller:
            smaller -= 1
        return {"micro_batch": smaller}
    if not schedule.gradient_checkpointing:
        return {"gradient_checkpointing": True}
    return None


def _smaller(tried: Try) -> dict[str, Any] | None:
    """Returns what changes the rows or the adapter, if training.shrink allows it."""
    training = tried.settings.training
    if not training.shrink:
        return None
    lengths = [row.longest for row in tried.rows.train]
    shorter = max(_LEAST_LENGTH, max(lengths) // 2)
    if min(lengths) <= shorter < max(lengths):
        return {"max_length": shorter}
    if tried.continues:
        return None
    return _smaller_adapter(training)


def _smaller_adapter(training: Training) -> dict[str, Any] | None:
    for rank, alpha in shrunk_ranks(training.lora_rank, training.lora_alpha):
        return {"lora_rank": rank, "lora_alpha": alpha}
    fewer = [name for name in training.target_modules if name in _LAST_MODULES]
    if fewer and fewer != training.target_modules:
        return {"target_modules": fewer}
    return None


def shrunk_ranks(rank: int, alpha: int) -> Iterator[tuple[int, int]]:
    """Yields the ranks that one is halved to, each with its alpha: alpha / r stays the same."""
    while rank > _LEAST_RANK:
        smaller = max(_LEAST_RANK, rank // 2)
        alpha = max(1, alpha * smaller // rank)
        rank = smaller
        yield rank, alpha


def _values(tried: Try) -> dict[str, Any]:
    """Returns all that may be given up, by its name."""
    values = tried.settings.schedule.model_dump() | tried.settings.training.model_dump()
    if tried.plan:
        values |= {"tokens": tried.plan.tokens, "checkpointed": tried.plan.checkpointed}
    return values


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
    changes = [f"training.max_length={max(1, length // 2)} (the longest row has {length} tokens)"]
    if not tried.settings.training.shrink:
        changes.append("training.shrink=true")
    if tried.settings.training.quantize_base == "none":
        changes.append("training.quantize_base=nf4")
    return f"Set {' or '.join(changes)}, or take a larger card or a smaller base."
