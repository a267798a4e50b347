"""What a question says: the facts from which its right answer follows."""

from dataclasses import dataclass, field
from typing import Literal

Language = Literal["ko", "en"]
"""The language of a question and of its answer's texts."""


@dataclass(frozen=True)
class StockFacts:
    """What a question says of one stock or ETF.

    The numbers and words are keyed by their names in kinds.lexicon.
    """

    ticker: str
    numbers: dict[str, float] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """What a question says: all that its right answer may depend on, each number as printed."""

    numbers: dict[str, float]
    stocks: tuple[StockFacts, ...] = ()
    words: dict[str, str] = field(default_factory=dict)
