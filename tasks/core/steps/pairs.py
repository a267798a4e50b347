"""pairs: preference pairs for Stage 3; each rejected answer fails for its own reason."""

from typing import Any

from tasks.core.chain.step import Job, Reads, Step, Surroundings
from tasks.core.settings.tree import Settings
from tasks.core.steps._own import own_digest


def _reads_also(settings: Settings) -> Reads:
    """The Stage 2 model's own wrong replies, if some of the rejected answers shall be its."""
    if settings.pairs.model_reject_share:
        return {"rejects": ("rejects.jsonl",)}
    return {}


def _outside(around: Surroundings) -> dict[str, str]:
    return own_digest("pairs.own", around.settings.pairs.own, around)


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.synthesis.pairs import build_pairs
    from tasks.core.synthesis.rejects import read_rejects

    rejects = []
    if "rejects" in job.reads:
        rejects = read_rejects(job.folder("rejects") / "rejects.jsonl")
    rows = job.folder("synthesize") / "rows.jsonl"
    tokenizer = job.folder("download") / "base" / "tokenizer.json"
    return build_pairs(rows, tokenizer, job.settings.pairs, job.out, rejects)


STEP = Step(
    name="pairs",
    build=_build,
    content=("pairs.jsonl",),
    reads={"synthesize": ("rows.jsonl",), "download": ("base/tokenizer.json",)},
    reads_also=_reads_also,
    settings=("pairs",),
    runs=lambda settings: settings.knows_strategy,
    outside=_outside,
    version=6,  # as synthesize's; near misses, of the right answers' words and length
)
