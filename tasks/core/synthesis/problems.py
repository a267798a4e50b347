"""What the proof of synthetic rows finds: the rule that is broken, and the values that break it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One rule that a row breaks."""

    rule: str
    detail: str


@dataclass(frozen=True)
class Failure:
    """One rule that one row of many breaks. Rows are counted from 1."""

    row: int
    rule: str
    detail: str
