"""rejects: wrong replies of the Stage 2 model, which become rejected answers of Stage 3.

The model is served for this purpose alone, and asked the rows' own questions.
"""

from typing import Any

from tasks.core.chain.step import Job, Step
from tasks.core.errors import RequestError
from tasks.core.settings.tree import Settings
from tasks.core.steps.stage import ADAPTER

_MODEL_SHARE = 0.2  # of the progress, until the model is made


def _runs(settings: Settings) -> bool:
    share = settings.pairs.model_reject_share
    if share and "stage2" in settings.stages.skip:
        raise RequestError(
            f"pairs.model_reject_share={share} asks the Stage 2 model, and stages.skip leaves"
            " stage2 out. Set pairs.model_reject_share=0, or let stage2 run."
        )
    return bool(share)


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.evaluation.answer import Endpoint
    from tasks.core.evaluation.row_questions import ask_rows
    from tasks.core.files.json_files import read_lines
    from tasks.core.kinds.base import system_prompt
    from tasks.core.serving.modelfile import build_modelfile
    from tasks.core.serving.servers import open_server
    from tasks.core.synthesis.pairs import wanted_rejects
    from tasks.core.synthesis.rejects import collect_rejects, most_asked, write_rejects

    release = job.settings.release
    modelfile = build_modelfile(
        job.folder("download") / "base", release, system_prompt(release.system_language)
    )
    _build_stage2_model(job)
    rows = list(read_lines(job.folder("synthesize") / "rows.jsonl"))
    wanted = wanted_rejects(job.settings.pairs)
    tag = f"{release.name}-rejects:{job.key[:8]}"
    with open_server(job.home) as server:
        server.create(tag, job.out / "model.gguf", modelfile, _silent)
        endpoint = Endpoint.of(server, tag)

        def ask(start: int, stop: int) -> list[str | None]:
            def report(share: float, text: str) -> None:
                asked = (start + share * (stop - start)) / most_asked(rows, wanted)
                job.progress(_MODEL_SHARE + (1 - _MODEL_SHARE) * asked, text)

            # Each batch has a file of its own: a file drops replies to questions not asked of it.
            kept = job.out / f"replies-{start}.jsonl"
            return ask_rows(endpoint, rows[start:stop], kept, report)

        try:
            rejects, metrics = collect_rejects(rows, wanted, ask)
        finally:
            server.unload(tag)  # Stage 3 needs the card's memory next
            server.delete(tag)
    write_rejects(job.out / "rejects.jsonl", rejects)
    (job.out / "model.gguf").unlink()
    return metrics


def _build_stage2_model(job: Job) -> None:
    from tasks.core.release.model import Model, build_gguf
    from tasks.core.tools import ensure_llama_cpp

    model = Model(job.folder("download") / "base", job.folder("stage2"))
    llama = ensure_llama_cpp(job.home, job.progress)

    def report(share: float, text: str) -> None:
        job.progress(_MODEL_SHARE * share, text)

    build_gguf(model, job.settings.release.quantization, llama, job.out, report)


def _silent(share: float, text: str) -> None:
    """Putting so small a file on a server needs no progress."""


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
    runs=_runs,
    resumes=True,
    retries_after_s=(5,),
    disk_of_base=2.35,  # the merged model, its F16 file and the quantized one, while it is asked
)
