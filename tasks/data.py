"""download and normalize, as Prefect sees them."""

from typing import Any

from prefect import task

from tasks.artifacts import cached, make, show_files
from tasks.core.chain.produce import Job
from tasks.core.chain.run import Run
from tasks.core.data.download import download as fetch
from tasks.core.data.normalize import normalize as normalize_rows
from tasks.core.kinds.base import system_prompt
from tasks.core.records.artifacts import Ref
from tasks.core.serving.modelfile import build_modelfile


@task(**cached("download"), retries=2, retry_delay_seconds=[5, 30])
def download(run: Run, reads: dict[str, Ref]) -> Ref:
    """The base model and the five sources, pinned and digested."""
    return make(run, "download", reads, _download)


@task(**cached("normalize"))
def normalize(run: Run, reads: dict[str, Ref]) -> Ref:
    """Chat rows of one shape for Stage 1, and the report of what was dropped."""
    ref = make(run, "normalize", reads, _normalize)
    show_files(run, ref, "Stage 1 rows: what came in, what was dropped and why")
    return ref


def _download(job: Job) -> dict[str, Any]:
    settings = job.run.settings
    found = fetch(settings.model, settings.data, job.run.home / "downloads", job.out, job.progress)
    build_modelfile(
        job.out / "base", settings.release, ""
    )  # a template that cannot be served is refused before training
    return found


def _normalize(job: Job) -> dict[str, Any]:
    sources = job.folder("download") / "sources"
    return normalize_rows(
        sources, system_prompt("en"), job.run.settings.data, job.out, job.progress
    )
