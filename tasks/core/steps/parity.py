"""parity: proof, hop by hop, that what was trained will answer, before anything is registered."""

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.core.chain.step import Job, Reads, Step, Surroundings
from tasks.core.records.artifacts import no_progress, stretch_of
from tasks.core.records.quantizations import share_of_base
from tasks.core.settings.tree import Settings
from tasks.core.steps._contents import ADAPTER
from tasks.core.steps._shipped import prompt_digest, served_system

if TYPE_CHECKING:
    from tasks.core.parity.figures import Figures
    from tasks.core.parity.hop import FreeReply
    from tasks.core.parity.prompts import Prompts, Rows
    from tasks.core.parity.proof import Release

log = logging.getLogger(__name__)

_COMPUTED = 0.85
"""Share of the time that the hops take which are computed here."""


def _reads_also(settings: Settings) -> Reads:
    """What was trained, and the rows that it was trained on.

    The base alone is proven with the strategy's rows, which it is asked about.
    """
    reads: Reads = {}
    stage = settings.released_stage
    if stage:
        reads[stage] = ADAPTER
    if stage != "stage1":
        reads["synthesize"] = ("rows.jsonl",)
    if "stage1" in settings.trained_stages:
        reads["normalize"] = ("rows.parquet",)
    return reads


def _outside(around: Surroundings) -> dict[str, str]:
    from tasks.core.parity.limits import VERSION
    from tasks.core.serving.servers import server_name

    return {
        "server": server_name(around.home),
        "strategy prompt": prompt_digest(),
        "limits": str(VERSION),
    }


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.parity.prompts import choose_prompts
    from tasks.core.parity.proof import check_served, prove_computed
    from tasks.core.parity.report import table_lines, write_report

    scratch = job.out / "hops"
    scratch.mkdir()
    prompts = choose_prompts(_rows(job), job.folder("download") / "base")
    figures = prove_computed(
        _release(job), prompts, scratch, stretch_of(job.progress, 0.0, _COMPUTED)
    )
    figures.append(_ask_served(job, prompts, scratch))
    check_served(figures)
    write_report(figures, prompts, job.out)
    for line in table_lines(figures):
        log.info("%s", line)
    shutil.rmtree(scratch)
    return {one.name: one.as_json() for one in figures}


def _rows(job: Job) -> "Rows":
    from tasks.core.parity.prompts import Rows

    return Rows(
        strategy=job.folder("synthesize") / "rows.jsonl" if "synthesize" in job.reads else None,
        finance=job.folder("normalize") / "rows.parquet" if "normalize" in job.reads else None,
    )


def _release(job: Job) -> "Release":
    from tasks.core.parity.proof import Release
    from tasks.core.release.training_values import base_as_trained

    stage = job.settings.released_stage
    adapter = job.folder(stage) if stage else None
    return Release(
        base=job.folder("download") / "base",
        adapter=adapter,
        trained=base_as_trained(adapter) if adapter else None,
        merged=job.folder("merge"),
        f16=job.folder("gguf") / "model-f16.gguf",
        quantized=job.folder("quantize") / "model.gguf",
        quantization=job.settings.release.quantization,
    )


def _ask_served(job: Job, prompts: "Prompts", folder: Path) -> "Figures":
    """Puts the model on the server as `register` will, asks it, and removes it again."""
    from tasks.core.parity.proof import likely_share
    from tasks.core.parity.served import Proof, measure_served
    from tasks.core.serving.modelfile import build_modelfile
    from tasks.core.serving.servers import open_server, required_server
    from tasks.core.serving.tags import temporary_tag
    from tasks.core.serving.temporary import lent
    from tasks.core.steps._asked import asked_model

    release = job.settings.release
    base = job.folder("download") / "base"
    modelfile = build_modelfile(base, release, served_system(release.system_language))
    tag = temporary_tag(release.name, "parity", job.key)
    gguf = job.folder("quantize") / "model.gguf"

    def likely(replies: list["FreeReply"]) -> float:
        return likely_share(gguf, prompts, replies, folder, no_progress)

    uploading = stretch_of(job.progress, _COMPUTED, 0.05)
    asking = stretch_of(job.progress, _COMPUTED + 0.05, 0.95 - _COMPUTED)
    with open_server(job.home, required_server(base)) as server, lent(server, tag, job.home):
        server.create(tag, gguf, modelfile, uploading)
        asked = asked_model(server, tag, release.num_ctx)
        proof = Proof(prompts, folder, base, likely)
        return measure_served(asked, proof, asking)


STEP = Step(
    name="parity",
    build=_build,
    content=("verdict.json",),
    reads={
        "download": ("base/*",),
        "merge": ("*",),
        "gguf": ("model-f16.gguf",),
        "quantize": ("model.gguf",),
    },
    reads_also=_reads_also,
    settings=(
        "release.quantization",
        "release.num_ctx",
        "release.num_predict",
        "release.system_language",
    ),
    consults=("release.name", "stages.skip"),  # what serves and reads; the key has the files
    outside=_outside,
    asks_server=True,
    retries_after_s=(5,),
    disk_also=lambda settings: share_of_base(settings.release.quantization),
    report="Parity: from the adapter to the served model",
)
