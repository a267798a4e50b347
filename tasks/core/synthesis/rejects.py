"""Rejected answers that a model really gave: its replies to the rows' questions, as far as they are
wrong.

Writes and reads rejects.jsonl. Whoever asks the model hands over its replies.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tasks.core.files.json_files import read_encoded, read_lines, write_lines
from tasks.core.kinds import kind_named
from tasks.core.kinds.base import Flaw, scene_from_dict
from tasks.core.synthesis.checks import MODEL_REJECT_SCORE
from tasks.core.synthesis.dates import dates_in

_QUESTIONS_PER_REJECT = 4
"""At most so many questions are asked for each reject that is wanted: a model that is mostly right
is not asked for ever.
"""

Rows = Sequence[Mapping[str, Any]]
Ask = Callable[[int, int], list[str | None]]
"""Returns the model's replies to the questions of the rows from one number up to another; None
stands for a reply that a limit cut.
"""


@dataclass(frozen=True)
class Reject:
    """One wrong reply. It may show several flaws; it serves as a pair of one of them."""

    row: int  # of rows_with_scenes, from 0
    reply: str
    flaw: Flaw
    flaws: tuple[Flaw, ...]


def collect_rejects(
    rows: Rows, wanted: Mapping[Flaw, int], ask: Ask
) -> tuple[list[Reject], dict[str, Any]]:
    """Asks until each flaw has its wanted number of rejects, or until enough was asked.

    Returns the rejects, and a report of what became of the replies.
    """
    most = most_asked(rows, wanted)
    step = max(1, sum(wanted.values()))
    replies: list[str | None] = []
    rejects: list[Reject] = []
    fates: Counter[str] = Counter()
    while len(replies) < most and _still_wanted(rejects, wanted):
        replies += ask(len(replies), min(most, len(replies) + step))
        rejects, fates = _sort_out(rows, replies, wanted)
    report = {
        "asked": len(replies),
        "wanted": dict(wanted),
        "found": dict(Counter(reject.flaw for reject in rejects)),
        "replies": dict(fates),
    }
    return rejects, report


def most_asked(rows: Rows, wanted: Mapping[Flaw, int]) -> int:
    """Returns the largest number of questions that collect_rejects asks."""
    return min(len(rows), _QUESTIONS_PER_REJECT * sum(wanted.values()))


def rows_with_scenes(file: Path) -> list[bytes]:
    """Returns the lines of rows.jsonl whose answers can be graded, in their order: not a user's own
    that are of none of our kinds. Encoded, they take less memory; most are needed once.
    """
    return [line for line in read_encoded(file) if b'"scene": null' not in line]


def write_rejects(file: Path, rejects: Sequence[Reject]) -> None:
    """Writes one reject a line."""
    write_lines(file, [asdict(reject) for reject in rejects])


def read_rejects(file: Path) -> list[Reject]:
    """Returns the rejects that write_rejects wrote, in their order."""
    rejects = []
    for fields in read_lines(file):
        rejects.append(Reject(**{**fields, "flaws": tuple(fields["flaws"])}))
    return rejects


def _sort_out(
    rows: Rows, replies: Sequence[str | None], wanted: Mapping[Flaw, int]
) -> tuple[list[Reject], Counter[str]]:
    """Returns the replies that serve as rejects, and how many replies met each fate."""
    rejects: list[Reject] = []
    fates: Counter[str] = Counter()
    for index, (row, reply) in enumerate(zip(rows, replies, strict=False)):
        fate = _fate_of(row, reply)
        fates[fate.name] += 1
        if reply is None or not fate.flaws:
            continue
        flaw = _most_wanted(fate.flaws, _still_wanted(rejects, wanted))
        if flaw is not None:
            rejects.append(Reject(index, reply, flaw, fate.flaws))
    return rejects, fates


@dataclass(frozen=True)
class _Fate:
    """What becomes of a reply: its name in the report and, if it is wrong, its flaws."""

    name: str
    flaws: tuple[Flaw, ...] = ()


def _fate_of(row: Mapping[str, Any], reply: str | None) -> _Fate:
    if not reply:
        return _Fate("cut or empty")
    question = row["messages"][1]["content"]
    if set(dates_in(reply)) - set(dates_in(question)):
        return _Fate("of another day")  # it may be held out, and Stage 3 must not see it
    metadata = row["metadata"]
    grade = kind_named(metadata["kind"]).grade(scene_from_dict(metadata["scene"]), reply)
    if grade.score > MODEL_REJECT_SCORE:
        return _Fate("right or nearly")
    return _Fate("wrong", tuple(sorted(grade.flaws)))


def _most_wanted(flaws: Sequence[Flaw], still_wanted: Mapping[Flaw, int]) -> Flaw | None:
    """Returns the flaw that a reply best serves as an example of; None if no flaw is wanted."""
    fitting = [flaw for flaw in flaws if flaw in still_wanted]
    if not fitting:
        return None
    return max(fitting, key=lambda flaw: (still_wanted[flaw], flaw))


def _still_wanted(rejects: Sequence[Reject], wanted: Mapping[Flaw, int]) -> dict[Flaw, int]:
    """Says how many of each flaw are still wanted. Flaws that are complete are left out."""
    collected = Counter(reject.flaw for reject in rejects)
    missing = {}
    for flaw, number in wanted.items():
        if number > collected[flaw]:
            missing[flaw] = number - collected[flaw]
    return missing
