"""register and promote, as Prefect sees them: what the model server holds, and which model its
users get.
"""

from typing import Any

from prefect import task

from tasks.artifacts import cached, make
from tasks.core.chain.produce import Job
from tasks.core.chain.run import Run
from tasks.core.chain.steps import release_tag
from tasks.core.evaluation.answer import ask_all
from tasks.core.evaluation.questions import read_questions
from tasks.core.evaluation.report import compare, read_scores
from tasks.core.evaluation.score import score
from tasks.core.files.json_files import write_json
from tasks.core.kinds.base import system_prompt
from tasks.core.records.artifacts import Ref
from tasks.core.serving.modelfile import build_modelfile
from tasks.core.serving.registration import promote as move_tag
from tasks.core.serving.registration import read_registration
from tasks.core.serving.registration import register as register_model
from tasks.core.serving.servers import open_server


@task(**cached("register"), retries=1, retry_delay_seconds=5)
def register(run: Run, reads: dict[str, Ref]) -> Ref:
    """The model on the server under a tag of its own, read back and its prompt proven."""
    return make(run, "register", reads, _register)


@task(**cached("promote"))
def promote(run: Run, reads: dict[str, Ref]) -> Ref:
    """Moves the name's `latest` to this model unless it answers worse; then removes what can be
    rebuilt.
    """
    ref = make(run, "promote", reads, _promote)
    if not run.settings.release.keep_intermediates:
        _expend_intermediates(run, reads["register"])
    return ref


def _register(job: Job) -> dict[str, Any]:
    settings, base = job.run.settings, job.folder("download") / "base"
    modelfile = build_modelfile(
        base, settings.release, system_prompt(settings.release.system_language)
    )
    tag = f"{release_tag(settings)}:{job.key[:8]}"
    gguf = job.folder("quantize") / "model.gguf"
    with open_server(job.run.home) as server:
        found = register_model(server, tag, gguf, modelfile, base, job.progress)
    (job.out / "Modelfile").write_text(modelfile.text(gguf.name), encoding="utf-8")
    write_json(
        job.out / "registration.json",
        {"tag": tag, "digest": found["digest"], "server": found["server"]},
    )
    return found


def _promote(job: Job) -> dict[str, Any]:
    """The model that holds the name now is asked the same questions: only like is compared with
    like.
    """
    name = release_tag(job.run.settings)
    candidate = read_registration(job.folder("register"))
    evaluated = job.folder("evaluate")
    new, old = read_scores(evaluated)["released"], None
    with open_server(job.run.home) as server:
        holder = server.digest(f"{name}:latest")
        if holder not in (None, candidate["digest"]):
            questions = read_questions(evaluated / "questions.jsonl")
            replies = job.out / "replies-holder.jsonl"
            old = score(
                questions,
                ask_all(server.openai_url, f"{name}:latest", questions, replies, job.progress),
            )
        decision = compare(old, new)
        if decision.promote:
            move_tag(server, candidate["tag"], name)
    told = {
        "name": name,
        "tag": candidate["tag"],
        "digest": candidate["digest"],
        "promoted": decision.promote,
    }
    write_json(job.out / "promotion.json", {**told, "reasons": decision.reasons})
    return {**told, "reasons": decision.reasons}


def _expend_intermediates(run: Run, registered: Ref) -> None:
    manifest = run.store.manifest(registered.step, registered.key)
    for step in ("quantize", "gguf", "merge"):
        manifest = run.store.manifest(step, manifest.lineage[step])
        if manifest is None:
            return
        run.store.expend(manifest.ref)
