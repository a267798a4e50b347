"""The settings of Stage 1's rows: their sources, how many of each, and which are left out."""

from typing import Annotated

from pydantic import Field

from tasks.core.settings.section import BESIDE, LATER, Count, Section, Share


class Data(Section):
    rows: Count = 200_000
    """Rows for Stage 1, over all sources."""
    finance_instruct: Annotated[str, BESIDE] = "Josephgflowers/Finance-Instruct-500k"
    """Source with columns system, user, assistant: hub id[@REVISION], local file, or `demo` for the
    packaged rows.
    """
    sujet_finance: Annotated[str, BESIDE] = "sujet-ai/Sujet-Finance-Instruct-177k"
    """Source with columns system_prompt, user_prompt (else inputs), answer."""
    krx_won: Annotated[str, BESIDE] = "KRX-Data/Won-Instruct"
    """Source with columns prompt, original_response."""
    trading_signals: Annotated[str, BESIDE] = "darkknight25/trading_dataset_v2"
    """Source with columns instruction, input, output; its user message is instruction and input."""
    fin_sentiment: Annotated[str, BESIDE] = "FinGPT/fingpt-sentiment-train"
    """Source with columns input, output, instruction."""
    finance_instruct_share: Share = 0.40
    """Share of the rows taken from finance_instruct."""
    sujet_finance_share: Share = 0.25
    """Share of the rows taken from sujet_finance."""
    krx_won_share: Share = 0.20
    """Share of the rows taken from krx_won."""
    trading_signals_share: Share = 0.10
    """Share of the rows taken from trading_signals."""
    fin_sentiment_share: Share = 0.05
    """Share of the rows taken from fin_sentiment."""
    own: Annotated[str, BESIDE] = ""
    """Your own rows: a local parquet, JSONL or CSV file, a folder of them, or a hub id; empty is
    none.
    """
    own_share: Share = 0.10
    """Share of the rows taken from own, if it is given; the five sources divide what is left by
    their shares.
    """
    own_user: str = "user"
    """Column of own that holds the question; a file with `messages` needs no such names."""
    own_assistant: str = "assistant"
    """Column of own that holds the answer."""
    own_system: str = ""
    """Column of own that holds the system prompt; empty: `system` if there is one, else the
    strategy prompt.
    """
    own_keep: list[str] = ["tools", "dialogue"]
    """Columns of own that are carried along as they are, if there are any:
    data.own_keep=[tools,topic].
    """
    reasoning_logs: Annotated[str, BESIDE] = ""
    """Folder of a live system's reasoning logs, DATE/*.json; empty is none."""
    reasoning_logs_share: Share = 0.05
    """Share of the rows taken from reasoning_logs, if it is given; as for own."""
    reasoning_min_confidence: Share = 0.7
    """Least confidence (0 to 1) of a log that is taken."""
    reasoning_min_signals: Annotated[int, Field(ge=0)] = 1
    """Fewest signals of a log that is taken."""
    reasoning_max_latency_ms: Annotated[int, Field(ge=0)] = 30_000
    """Longest latency, in milliseconds, of a log that is taken; 0 is no limit. A log that names
    none is taken.
    """
    test_share: Annotated[float, LATER, Field(ge=0, lt=1)] = 0.0
    """Share of the rows that are kept from training, for evaluation.asks=rows; drawn by
    data.seed.
    """
    near_duplicates: Share = 0.0
    """Overlap of word runs (Jaccard, 0 to 1, by MinHash) from which a row is dropped as a near
    duplicate of an earlier one of its source, e.g. 0.8; 0 keeps near duplicates. Exact ones are
    always dropped.
    """
    top_up: bool = False
    """Fill a short source's missing rows from the others; else the report shows the shortfall."""
    seed: int = 42
    """Seed of sampling and of the final shuffle; each source has its own generator."""
