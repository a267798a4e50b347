"""Frozen records that cross the borders between stages: what one stage hands to the next."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Progress = Callable[[float, str], None]
"""Called by long work with the share done (0..1) and a short text with units, e.g. (0.4, "40 / 98
MB").
"""


@dataclass(frozen=True)
class Ref:
    """A finished artifact: all that travels through Prefect instead of data or models."""

    step: str
    key: str
    digest: str  # sha256 over the sorted (path, sha256) of its content files


@dataclass(frozen=True)
class Snapshot:
    """The market on one day, rounded as prompts print it; its regime is strategy.regime_of these
    numbers.
    """

    date: str  # YYYY-MM-DD
    return_pct: float  # cap-weighted return of the day, 2 decimals
    breadth_pct: float  # share of tickers that rose, 1 decimal
    momentum_pct: float  # sum of the last 10 market returns, 2 decimals
    volatility_pct: float  # annualized, of the last 10 market returns, 2 decimals


@dataclass(frozen=True)
class StockDay:
    """One ticker on one day. None where the data holds no value."""

    ticker: str  # six characters, e.g. 005930
    close: float  # won
    return_pct: float | None
    per: float | None
    pbr: float | None
    market_cap: (
        float | None
    )  # won, as given; one derived from a later listing is a weight only, and None here
    sma_20: float | None = None  # won, mean of the last 20 closes
    sma_60: float | None = None  # won, mean of the last 60 closes
    volatility_pct: float | None = None  # annualized, of the last 20 daily log returns
    beta: float | None = None  # against the market's own return, over its last 250 days
    us_correlation: float | None = (
        None  # -1..1, with the US return of the session before, over the last 250 days
    )


@dataclass(frozen=True)
class StockFacts:
    """What a question says of one stock or ETF: numbers and words by their names in kinds.lexicon."""

    ticker: str
    numbers: dict[str, float] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """What a question says: all that its right answer may depend on, each number as printed."""

    numbers: dict[str, float]
    stocks: tuple[StockFacts, ...] = ()
    words: dict[str, str] = field(default_factory=dict)


UNFINISHED = ("checkpoints", "tokens")
"""Folders of a stage that is not done: what it goes on from, and its rows as tokens."""


@dataclass(frozen=True)
class TrainingSpec:
    """All that one training process needs; written as JSON so that it can run alone on a GPU
    machine.
    """

    stage: Literal["stage1", "stage2", "stage3"]
    method: Literal["sft", "dpo"]
    base: str  # folder of the base model with its tokenizer
    start: str | None  # adapter folder to continue; None starts a new adapter
    # rows.parquet / rows.jsonl with `messages`, or pairs.jsonl with `prompt`, `chosen`, `rejected`
    rows: str
    out: (
        str  # folder that becomes the adapter; UNFINISHED's folders live in it until the stage ends
    )
    training: dict[str, Any]  # settings.Training as a dict
    schedule: dict[str, Any]  # settings.Stage or settings.PreferenceStage as a dict
