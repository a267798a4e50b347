"""synthesize and pairs, as Prefect sees them."""

from typing import Any

from prefect import task

from tasks.artifacts import cached, make
from tasks.core.chain.produce import Job
from tasks.core.chain.run import Run
from tasks.core.records.artifacts import Ref
from tasks.core.synthesis.generate import synthesize as synthesize_rows
from tasks.core.synthesis.pairs import build_pairs
from tasks.core.synthesis.rejects import read_rejects


@task(**cached("synthesize"))
def synthesize(run: Run, reads: dict[str, Ref]) -> Ref:
    """Strategy rows for Stage 2, each checked before any is published."""
    return make(run, "synthesize", reads, _synthesize)


@task(**cached("pairs"))
def pairs(run: Run, reads: dict[str, Ref]) -> Ref:
    """Preference pairs for Stage 3, each rejected answer failing for its own reason."""
    return make(run, "pairs", reads, _pairs)


def _synthesize(job: Job) -> dict[str, Any]:
    train = job.folder("market") / "train"
    tokenizer = job.folder("download") / "base" / "tokenizer.json"
    return synthesize_rows(train, tokenizer, job.run.settings.synthesis, job.out)


def _pairs(job: Job) -> dict[str, Any]:
    rejects = (
        read_rejects(job.folder("rejects") / "rejects.jsonl") if "rejects" in job.reads else []
    )
    return build_pairs(
        job.folder("synthesize") / "rows.jsonl", job.run.settings.pairs, job.out, rejects
    )
