"""rejects, as Prefect sees it: the Stage 2 model, served for this purpose, answers the rows'
questions.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from prefect import task

from tasks.artifacts import cached, make
from tasks.core.chain.produce import Job
from tasks.core.chain.run import Run
from tasks.core.evaluation.answer import Options, ask_all
from tasks.core.evaluation.questions import Question
from tasks.core.kinds.base import system_prompt
from tasks.core.records.artifacts import Progress, Ref
from tasks.core.release.gguf import convert
from tasks.core.release.merge import merge as merge_adapter
from tasks.core.release.quantize import quantize as quantize_gguf
from tasks.core.serving.modelfile import build_modelfile
from tasks.core.serving.servers import open_server
from tasks.core.synthesis.pairs import wanted_rejects
from tasks.core.synthesis.rejects import collect_rejects, most_asked, write_rejects
from tasks.core.tools import ensure_llama_cpp

_TEMPERATURE = 0.7
_MODEL_SHARE = 0.2  # of the progress, until the model is made


@task(**cached("rejects"), retries=1, retry_delay_seconds=5)
def rejects(run: Run, reads: dict[str, Ref]) -> Ref:
    """Wrong replies of the Stage 2 model, to be rejected answers of Stage 3."""
    return make(run, "rejects", reads, _rejects)


def _rejects(job: Job) -> dict[str, Any]:
    settings, base = job.run.settings, job.folder("download") / "base"
    gguf = _stage2_gguf(job)
    with (job.folder("synthesize") / "rows.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    tag = f"{settings.release.name}-rejects:{job.key[:8]}"
    with open_server(job.run.home) as server:
        modelfile = build_modelfile(
            base, settings.release, system_prompt(settings.release.system_language)
        )
        server.create(tag, gguf, modelfile, lambda share, text: job.progress(_MODEL_SHARE, text))

        wanted = wanted_rejects(settings.pairs)

        def ask(start: int, stop: int) -> list[str | None]:
            def tell(share: float, text: str) -> None:
                done = (start + share * (stop - start)) / most_asked(rows, wanted)
                job.progress(_MODEL_SHARE + (1 - _MODEL_SHARE) * done, text)

            # A file for each batch: the cache of one drops what is no question of its own.
            return ask_rows(
                server.openai_url, tag, rows[start:stop], job.out / f"replies-{start}.jsonl", tell
            )

        try:
            found, report = collect_rejects(rows, wanted, ask)
        finally:
            server.unload(tag)  # the card is Stage 3's next
            server.delete(tag)
    write_rejects(job.out / "rejects.jsonl", found)
    gguf.unlink()
    return report


def ask_rows(
    url: str, tag: str, rows: list[dict[str, Any]], cache: Path, progress: Progress
) -> list[str | None]:
    """The model's free replies to the rows' questions, drawn; None where the token limit cut one.

    No schema binds them: a reply that is no JSON is a reject too. Replies are kept in `cache` and
    not asked for again.
    """
    questions = [_question(number, row) for number, row in enumerate(rows)]
    replies = ask_all(url, tag, questions, cache, progress, Options(temperature=_TEMPERATURE))
    return [None if reply.finish_reason == "length" else reply.text for reply in replies]


def _question(number: int, row: dict[str, Any]) -> Question:
    metadata, messages = row["metadata"], row["messages"]
    return Question(
        id=f"row-{number + 1}",
        kind=metadata["kind"],
        language=metadata["language"],
        date=metadata["date"],
        messages=messages[:2],
        schema=None,
        reference=messages[2]["content"],
        scene=metadata["scene"],
    )


def _stage2_gguf(job: Job) -> Path:
    """The Stage 2 model as one quantized file; one that an interrupted attempt finished is taken as
    it is.
    """
    gguf, workplace = job.out / "model.gguf", job.out / "making"
    if gguf.exists():
        return gguf
    shutil.rmtree(workplace, ignore_errors=True)
    (workplace / "merged").mkdir(parents=True)
    llama = ensure_llama_cpp(job.run.home, job.progress)

    def tell(share: float, text: str) -> None:
        job.progress(_MODEL_SHARE * share, text)

    merge_adapter(job.folder("download") / "base", job.folder("stage2"), workplace / "merged", tell)
    convert(workplace / "merged", llama, workplace, tell)
    quantization = job.run.settings.release.quantization
    quantize_gguf(workplace / "model-f16.gguf", quantization, llama, workplace, tell)
    (workplace / "model.gguf").replace(gguf)
    shutil.rmtree(workplace)
    return gguf
