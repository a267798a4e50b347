"""synthesize: strategy rows for Stage 2, each proven before any is published."""

from typing import Any

from tasks.core.chain.step import Job, Step, Surroundings
from tasks.core.steps._own import own_digest
from tasks.core.steps._shipped import prompt_digest, table_digests, words_digest


def _outside(around: Surroundings) -> dict[str, str]:
    shipped = {"strategy prompt": prompt_digest(), "words": words_digest(), **table_digests()}
    return {**shipped, **own_digest("synthesis.own", around.settings.synthesis.own, around)}


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.synthesis.generate import synthesize

    train = job.folder("market") / "train"
    tokenizer = job.folder("download") / "base" / "tokenizer.json"
    return synthesize(train, tokenizer, job.settings.synthesis, job.out)


STEP = Step(
    name="synthesize",
    build=_build,
    content=("rows.jsonl",),
    reads={"market": ("train/*",), "download": ("base/tokenizer.json",)},
    settings=("synthesis",),
    outside=_outside,
    version=3,  # every answer begins with its working
)
