"""Rejected answers that a model really gave: its replies to the rows' questions, where they are
wrong.

Writes and reads rejects.jsonl. Whoever asks the model gives the replies.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tasks.core.kinds import kind_named
from tasks.core.kinds.base import Flaw, scene_from_dict
from tasks.core.synthesis.checks import MODEL_REJECT_SCORE
from tasks.core.synthesis.guard import dates_in

_QUESTIONS_PER_REJECT = 4
"""Questions asked at most for each reject that is wanted: a model that is mostly right is not asked
for ever.
"""

Rows = Sequence[Mapping[str, Any]]
Ask = Callable[[int, int], list[str | None]]
"""The model's replies to the questions of the rows from one number up to another; None for one that
a limit cut.
"""


@dataclass(frozen=True)
class Reject:
    """One wrong reply. It may show several flaws; it serves as a pair of one of them."""

    row: int  # of rows.jsonl, from 0
    reply: str
    flaw: Flaw
    flaws: tuple[Flaw, ...]


def collect_rejects(
    rows: Rows, wanted: Mapping[Flaw, int], ask: Ask
) -> tuple[list[Reject], dict[str, Any]]:
    """Asks until each flaw has its wanted number, or enough was asked; the rejects and what became
    of the replies.
    """
    most, step = most_asked(rows, wanted), max(1, sum(wanted.values()))
    replies, found, fates = [], [], Counter()
    while len(replies) < most and _open(found, wanted):
        replies += ask(len(replies), min(most, len(replies) + step))
        found, fates = _sort_out(rows, replies, wanted)
    report = {
        "asked": len(replies),
        "wanted": dict(wanted),
        "found": dict(Counter(reject.flaw for reject in found)),
    }
    return found, {**report, "replies": dict(fates)}


def most_asked(rows: Rows, wanted: Mapping[Flaw, int]) -> int:
    return min(len(rows), _QUESTIONS_PER_REJECT * sum(wanted.values()))


def write_rejects(file: Path, rejects: Sequence[Reject]) -> None:
    lines = [json.dumps(asdict(reject), ensure_ascii=False) + "\n" for reject in rejects]
    file.write_text("".join(lines), encoding="utf-8")


def read_rejects(file: Path) -> list[Reject]:
    told = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [Reject(**{**reject, "flaws": tuple(reject["flaws"])}) for reject in told]


def _sort_out(
    rows: Rows, replies: Sequence[str | None], wanted: Mapping[Flaw, int]
) -> tuple[list[Reject], Counter[str]]:
    found: list[Reject] = []
    fates: Counter[str] = Counter()
    for place, (row, reply) in enumerate(zip(rows, replies, strict=False)):
        if not reply:
            fates["cut or empty"] += 1
            continue
        if set(dates_in(reply)) - set(dates_in(row["messages"][1]["content"])):
            fates["of another day"] += 1  # which may be held out, and Stage 3 must not see it
            continue
        metadata = row["metadata"]
        grade = kind_named(metadata["kind"]).grade(scene_from_dict(metadata["scene"]), reply)
        if grade.score > MODEL_REJECT_SCORE:
            fates["right or nearly"] += 1
            continue
        fates["wrong"] += 1
        flaws = tuple(sorted(grade.flaws))
        still = _open(found, wanted)
        if fitting := [flaw for flaw in flaws if still.get(flaw)]:
            found.append(
                Reject(place, reply, max(fitting, key=lambda flaw: (still[flaw], flaw)), flaws)
            )
    return found, fates


def _open(found: Sequence[Reject], wanted: Mapping[Flaw, int]) -> dict[Flaw, int]:
    """How many of each flaw are still wanted; those that are complete are left out."""
    have = Counter(reject.flaw for reject in found)
    return {flaw: number - have[flaw] for flaw, number in wanted.items() if number > have[flaw]}
