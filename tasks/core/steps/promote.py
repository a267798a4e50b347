"""promote: moves the name's `latest` to the new model unless it answers worse; cleans up."""

from typing import Any

from tasks.core.chain.housekeeping import rolled_back
from tasks.core.chain.step import Job, ServedModel, Step, Surroundings
from tasks.core.chain.store import Manifest, Store
from tasks.core.files.json_files import write_json
from tasks.core.settings.tree import Settings


def _outside(around: Surroundings) -> dict[str, str]:
    from tasks.core.serving.servers import server_name

    return {"server": server_name(around.home)}


def _build(job: Job) -> dict[str, Any]:
    """The model that holds the name is asked the same questions: like is compared with like."""
    from tasks.core.evaluation.answer import Endpoint, ask_all
    from tasks.core.evaluation.questions import read_questions
    from tasks.core.evaluation.report import compare, read_scores
    from tasks.core.evaluation.score import score
    from tasks.core.serving.registration import promote, read_registration
    from tasks.core.serving.servers import open_server

    name = job.settings.release_tag
    candidate = read_registration(job.folder("register"))
    evaluated = job.folder("evaluate")
    new_scores = read_scores(evaluated)["released"]
    old_scores = None
    with open_server(job.home) as server:
        holder = server.digest(f"{name}:latest")
        if holder not in (None, candidate["digest"]):
            questions = read_questions(evaluated / "questions.jsonl")
            kept = job.out / "replies-holder.jsonl"
            endpoint = Endpoint.of(server, f"{name}:latest")
            replies = ask_all(endpoint, questions, kept, job.progress)
            old_scores = score(questions, replies)
        decision = compare(old_scores, new_scores)
        if decision.promote:
            promote(server, candidate["tag"], name)
    promotion = {
        "name": name,
        "tag": candidate["tag"],
        "digest": candidate["digest"],
        "promoted": decision.promote,
        "reasons": decision.reasons,
    }
    write_json(job.out / "promotion.json", promotion)
    return promotion


def _clean_up(settings: Settings, store: Store, promotion: Manifest) -> None:
    """Removes the merged shards and the F16 file, which can be rebuilt."""
    if settings.release.keep_intermediates:
        return
    manifest: Manifest | None = promotion
    for step in ("register", "quantize", "gguf", "merge"):
        manifest = manifest and store.manifest(step, manifest.lineage[step])
        if manifest:
            store.expend(manifest.ref)


def _served(store: Store, manifest: Manifest) -> ServedModel | None:
    """A model that was not promoted, or whose promotion its user took back, need not be there."""
    if manifest.metrics["promoted"] is False or rolled_back(store, manifest):
        return None
    return ServedModel(f"{manifest.metrics['name']}:latest", manifest.metrics["digest"])


STEP = Step(
    name="promote",
    build=_build,
    content=("promotion.json",),
    reads={
        "evaluate": ("questions.jsonl", "scores.json"),
        "register": ("registration.json",),
    },
    # The key has the registered model, whose tag these make.
    consults=("release.name", "release.keep_intermediates", "stages.skip"),
    outside=_outside,
    asks_server=True,
    served=_served,
    after=_clean_up,
)
