"""download: the base model and the sources of Stage 1, pinned, fetched once and digested."""

from typing import Any

from tasks.core.chain.step import Job, Step, Surroundings


def _outside(around: Surroundings) -> dict[str, str]:
    from tasks.core.data.download import fingerprints

    settings = around.settings
    cache = around.home / "downloads"
    return fingerprints(settings.model, settings.data, cache, around.memory.digest_of)


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.chat.families import refuse_no_system, refuse_template
    from tasks.core.data.download import download

    settings = job.settings
    cache = job.home / "downloads"
    metrics = download(settings.model, settings.data, cache, job.out, job.progress)
    # A chat template that cannot be served is refused now, not after the training.
    refuse_no_system(job.out / "base")
    refuse_template(job.out / "base", settings.training.template)
    return metrics


STEP = Step(
    name="download",
    build=_build,
    content=("base/*", "sources/*"),
    outside=_outside,
    # Where the model and the sources lie, of which the key has the digests or the commit; and
    # which chat templates are refused.
    consults=("model", "data", "training.template"),
    retries_after_s=(5, 30),
    disk_of_base=1.0,
    disk_gib=1.5,  # the five sources, and llama.cpp's source and build
)
