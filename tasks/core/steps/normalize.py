"""normalize: chat rows of one shape for Stage 1, and the report of what was dropped and why."""

from typing import Any

from tasks.core.chain.step import Job, Step, Surroundings
from tasks.core.chat.tool_text import NO_SYSTEM
from tasks.core.files.digests import digest_value
from tasks.core.steps._shipped import analyst_digest

_OWN_ROWS = "2"  # tool calls are read; raised alone, so that others' rows keep their key


def _outside(around: Surroundings) -> dict[str, str]:
    outside = {"analyst prompt": analyst_digest()}
    if around.settings.release.system_language == "none":
        outside["analyst prompt"] = digest_value(NO_SYSTEM)
    if around.settings.data.own:
        outside["reading of own rows"] = _OWN_ROWS
    return outside


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.data.normalize import normalize
    from tasks.core.kinds.base import ANALYST_PROMPT

    sources = job.folder("download") / "sources"
    of_the_strategy = job.settings.release.system_language != "none"
    prompt = ANALYST_PROMPT if of_the_strategy else NO_SYSTEM
    return normalize(sources, prompt, job.settings.data, job.out, job.progress)


STEP = Step(
    name="normalize",
    build=_build,
    content=("rows.parquet", "test.parquet"),
    reads={"download": ("sources/*",)},
    settings=("data",),
    consults=("release.system_language",),  # the key has the prompt that follows from it
    outside=_outside,
    version=3,
    report="Stage 1 rows: what came in, what was dropped and why",
)
