"""evaluate, as Prefect sees it."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from prefect import task

from tasks.artifacts import cached, make, show_files
from tasks.core.chain.produce import Job
from tasks.core.chain.run import Run
from tasks.core.evaluation.answer import ask_all
from tasks.core.evaluation.questions import build_questions, read_questions
from tasks.core.evaluation.report import write_report
from tasks.core.evaluation.score import score
from tasks.core.kinds.base import system_prompt
from tasks.core.records.artifacts import Ref
from tasks.core.serving.modelfile import build_modelfile
from tasks.core.serving.registration import read_registration
from tasks.core.serving.servers import Server, open_server
from tasks.core.synthesis.guard import prove_apart

_TRAINED_ON = {"synthesize": "rows.jsonl", "pairs": "pairs.jsonl"}


@task(**cached("evaluate"), retries=1, retry_delay_seconds=5)
def evaluate(run: Run, reads: dict[str, Ref]) -> Ref:
    """The frozen questions to the released model and to the base model: table, chart, JSON."""
    ref = make(run, "evaluate", reads, _evaluate)
    show_files(run, ref, "Evaluation: the base model next to the release")
    return ref


def _evaluate(job: Job) -> dict[str, Any]:
    settings = job.run.settings
    holdout = job.folder("market") / "holdout"
    build_questions(holdout, settings.evaluation, job.out)
    trained_on = [
        job.folder(step) / file for step, file in _TRAINED_ON.items() if step in job.reads
    ]
    apart = prove_apart(holdout, job.out / "questions.jsonl", trained_on)
    questions = read_questions(job.out / "questions.jsonl")
    scores = {}
    with open_server(job.run.home) as server, ExitStack() as until_asked:
        tags = {"released": read_registration(job.folder("register"))["tag"]}
        if settings.evaluation.baseline:
            tags = {"base": _serve_baseline(job, server), **tags}
            until_asked.callback(server.delete, tags["base"])
        for number, (name, tag) in enumerate(tags.items()):

            def progress(
                fraction: float, text: str, number: int = number, name: str = name
            ) -> None:
                job.progress((number + fraction) / len(tags), f"{name}: {text}")

            replies = ask_all(
                server.openai_url, tag, questions, job.out / f"replies-{name}.jsonl", progress
            )
            scores[name] = score(questions, replies)
    write_report(scores, job.out, toy=settings.model.base == "demo")
    return {
        "apart_from_training": apart,
        **{name: figures["summary"] for name, figures in scores.items()},
    }


def _serve_baseline(job: Job, server: Server) -> str:
    """Puts the base model on the server, with the release's own prompt and parameters, for the
    comparison only.
    """
    release, base = job.run.settings.release, job.folder("download") / "base"
    gguf: Path = job.folder("baseline") / "model.gguf"
    tag = f"{release.name}-base:{job.key[:8]}"
    server.create(
        tag,
        gguf,
        build_modelfile(base, release, system_prompt(release.system_language)),
        job.progress,
    )
    return tag
