"""rejects: wrong replies of the Stage 2 model, which become rejected answers of Stage 3.

The model is served for this purpose alone, and asked the rows' own questions.
"""

import json
from typing import Any

from tasks.core.chain.step import Job, Step
from tasks.core.records.artifacts import stretch_of
from tasks.core.steps._contents import ADAPTER
from tasks.core.steps._shipped import served_system

_MODEL_SHARE = 0.2  # of the progress, until the model is on the server


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.evaluation.answer import Endpoint
    from tasks.core.evaluation.row_questions import ask_rows
    from tasks.core.serving.modelfile import build_modelfile
    from tasks.core.serving.servers import open_server, required_server
    from tasks.core.serving.tags import temporary_tag
    from tasks.core.serving.temporary import lent
    from tasks.core.synthesis.pairs import wanted_rejects
    from tasks.core.synthesis.rejects import (
        collect_rejects,
        most_asked,
        rows_with_scenes,
        write_rejects,
    )

    release = job.settings.release
    base = job.folder("download") / "base"
    modelfile = build_modelfile(base, release, served_system(release.system_language))
    _build_stage2_model(job)
    lines = rows_with_scenes(job.folder("synthesize") / "rows.jsonl")
    rows = [json.loads(line) for line in lines]
    wanted = wanted_rejects(job.settings.pairs)
    most = most_asked(rows, wanted)
    tag = temporary_tag(release.name, "rejects", job.key)
    with open_server(job.home, required_server(base)) as server, lent(server, tag, job.home):
        upload = stretch_of(job.progress, _MODEL_SHARE, 0)
        server.create(tag, job.out / "model.gguf", modelfile, upload)
        endpoint = Endpoint.of(server, tag)
        asking = stretch_of(job.progress, _MODEL_SHARE, 1 - _MODEL_SHARE)

        def ask(start: int, stop: int) -> list[str | None]:
            report = stretch_of(asking, start / most, (stop - start) / most)
            # Each batch has a file of its own: a file drops replies to questions not asked of it.
            kept = job.out / f"replies-{start}.jsonl"
            return ask_rows(endpoint, rows[start:stop], kept, report)

        rejects, metrics = collect_rejects(rows, wanted, ask)
    write_rejects(job.out / "rejects.jsonl", rejects)
    (job.out / "model.gguf").unlink()
    return metrics


def _build_stage2_model(job: Job) -> None:
    from tasks.core.release.model import Model, build_gguf
    from tasks.core.tools import ensure_llama_cpp

    model = Model(job.folder("download") / "base", job.folder("stage2"))
    llama = ensure_llama_cpp(job.home, job.progress)

    report = stretch_of(job.progress, 0, _MODEL_SHARE)
    build_gguf(model, job.settings.release.quantization, llama, job.out, report)


STEP = Step(
    name="rejects",
    build=_build,
    content=("rejects.jsonl",),
    reads={
        "download": ("base/*",),
        "stage2": ADAPTER,
        "synthesize": ("rows.jsonl",),
    },
    settings=(
        "pairs",
        "release.quantization",
        "release.num_ctx",
        "release.num_predict",
        "release.system_language",
    ),
    consults=("release.name",),
    runs=lambda settings: bool(settings.pairs.model_reject_share),
    version=2,
    resumes=True,
    pool="gpu",
    asks_server=True,
    retries_after_s=(5,),
    disk_of_base=2.35,  # the merged model, its F16 file and the quantized one, while it is asked
)
