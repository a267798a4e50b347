"""synthesize: strategy rows for Stage 2, each proven before any is published."""

from pathlib import Path
from typing import Any

from tasks.core.chain.step import Job, Step, Surroundings
from tasks.core.files.scratch import scratch_folder
from tasks.core.steps._contents import HELD_LOGS
from tasks.core.steps._own import logs_digest, own_digest
from tasks.core.steps._shipped import prompt_digest, table_digests, words_digest


def _outside(around: Surroundings) -> dict[str, str]:
    from tasks.core.market.demo import VERSION

    shipped = {"strategy prompt": prompt_digest(), "words": words_digest(), **table_digests()}
    synthesis = around.settings.synthesis
    if synthesis.invented_markets:
        shipped["invented markets"] = f"version {VERSION}"
    own = own_digest("synthesis.own", synthesis.own, around)
    return {**shipped, **own, **logs_digest(synthesis.logs, around)}


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.market.invented import write_invented
    from tasks.core.synthesis.generate import synthesize
    from tasks.core.synthesis.kind_rows import Source

    train = job.folder("market") / "train"
    tokenizer = job.folder("download") / "base" / "tokenizer.json"
    synthesis = job.settings.synthesis
    with scratch_folder() as scratch:
        seed = synthesis.seed
        invented = write_invented(Path(scratch), synthesis.invented_markets, seed, job.progress)
        return synthesize(Source(train, tokenizer, synthesis, tuple(invented)), job.out)


STEP = Step(
    name="synthesize",
    build=_build,
    content=("rows.jsonl", HELD_LOGS),  # the second only if logs are given
    reads={"market": ("train/*",), "download": ("base/tokenizer.json",)},
    settings=("synthesis",),
    runs=lambda settings: settings.knows_strategy,
    outside=_outside,
    version=7,  # a working states what it orders or sums up before it does
)
