"""The settings of the strategy's rows: how many there are, and what of one's own joins them."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from tasks.core.settings.section import BESIDE, LATER, Count, Section, Share


class Synthesis(Section):
    rows: Count = 5_000
    """Synthetic strategy rows for Stage 2."""
    korean_share: Share = 0.5
    """Share of rows whose prompt and rationale are Korean; the others are English."""
    real_share: Share = 0.7
    """Share of rows whose market numbers are a real day's; the others are simulated to cover rare
    regimes.
    """
    invented_markets: Annotated[int, LATER, Field(ge=0, le=1_000)] = 0
    """Invented markets, of two years each, whose days the simulated rows are about; 0 draws those
    rows' numbers one by one. A real market's days come again and again in many rows, so that a
    small model learns their sums by heart.
    """
    token_budget: Count = 2_000
    """Most tokens of a row, prompt and answer, by the base model's tokenizer: fewer stocks, never
    cut answers.
    """
    own: Annotated[str, BESIDE] = ""
    """Your own rows beside the synthetic ones: a JSONL or parquet file with `messages`, each row
    proven if its metadata say what it is about; empty is none.
    """
    logs: Annotated[str, BESIDE] = ""
    """Folder of a live system's reasoning logs, DATE/*.json, of which rows of the kind signals are
    made and questions of the evaluation; empty is none.
    """
    logs_min_confidence: Annotated[Share, LATER] = 0.7
    """Least confidence (0 to 1) of a log that is taken."""
    logs_min_signals: Annotated[int, LATER, Field(ge=1, le=20)] = 1
    """Fewest signals of a log that is taken."""
    logs_max_signals: Annotated[int, LATER, Field(ge=1, le=20)] = 20
    """Most signals of a log that is taken."""
    logs_max_latency_ms: Annotated[int, LATER, Field(ge=0)] = 30_000
    """Longest latency, in milliseconds, of a log that is taken; 0 is no limit. A log that names
    none is taken.
    """
    seed: int = 42
    """Seed of the generator; each kind draws from its own."""

    @field_validator("logs_max_signals")
    @classmethod
    def _is_a_span(cls, most: int, others: ValidationInfo) -> int:
        fewest = others.data.get("logs_min_signals", 1)
        if most < fewest:
            raise ValueError(
                f"no log has {fewest} to {most} signals; take synthesis.logs_min_signals={most} or"
                " fewer"
            )
        return most
