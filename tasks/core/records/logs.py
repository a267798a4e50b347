"""A reasoning log of a live system, as rows are made of it: read, and found sound in its form."""

from dataclasses import dataclass, field

from tasks.core.records.facts import Language


@dataclass(frozen=True)
class Signal:
    """What the log says of one stock or ETF."""

    ticker: str  # six characters
    score: float  # -1 (sell) to 1 (buy)
    rationale: str


@dataclass(frozen=True)
class Log:
    """One call of the live system: what it was told of the market, and what it made of it."""

    name: str  # DATE/NAME.json
    day: str  # YYYY-MM-DD, in Korea
    language: Language  # of its texts
    reasoning: str
    signals: tuple[Signal, ...]  # by ticker
    confidence: float  # 0 to 1
    numbers: dict[str, float] = field(default_factory=dict)  # by their names in kinds.lexicon
    words: dict[str, str] = field(default_factory=dict)  # as Facts.words, the notes too
