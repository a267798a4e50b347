"""promote: moves the name's `latest` to the release if its answers are worth it; cleans up."""

import logging
from typing import TYPE_CHECKING, Any

from tasks.core.chain.housekeeping import rolled_back
from tasks.core.chain.manifest import Manifest
from tasks.core.chain.step import Job, ServedModel, Step, Surroundings
from tasks.core.chain.store import Store
from tasks.core.files.json_files import read_json, write_json
from tasks.core.settings.tree import Settings

if TYPE_CHECKING:
    from tasks.core.evaluation.promotion import Decision, Rival
    from tasks.core.serving.servers import Server

log = logging.getLogger(__name__)


def _outside(around: Surroundings) -> dict[str, str]:
    from tasks.core.serving.servers import server_name

    return {"server": server_name(around.home)}


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.serving.registration import check_holds, promote, read_registration
    from tasks.core.serving.servers import open_server

    candidate = read_registration(job.folder("register"))
    with open_server(job.home, candidate["server"]) as server:
        check_holds(server, candidate["tag"], candidate["digest"])
        promotion = _decided(job, server, candidate)
        if promotion["promoted"]:
            promote(server, candidate["tag"], candidate["digest"], promotion["name"])
    write_json(job.out / "promotion.json", promotion)
    return promotion


def _decided(job: Job, server: "Server", candidate: dict[str, str]) -> dict[str, Any]:
    """Returns what is decided, which is written down before the name moves: an attempt that is
    killed after that would find no rival any more.
    """
    name = job.settings.release_tag
    holder = server.digest(f"{name}:latest")
    file = job.out / "decided.json"
    if file.is_file():
        kept = read_json(file)
        done = kept["promotion"]["promoted"] and holder == candidate["digest"]
        if done or holder == kept["holder"]:
            return kept["promotion"]
    decision = _decide(job, server, holder, candidate["digest"])
    promotion = {
        "name": name,
        "tag": candidate["tag"],
        "digest": candidate["digest"],
        "promoted": decision.promote,
        "against": decision.against,
        "difference": decision.difference,
        "reasons": decision.reasons,
    }
    write_json(file, {"holder": holder, "promotion": promotion})
    return promotion


def _decide(job: Job, server: "Server", holder: str | None, digest: str) -> "Decision":
    """Weighs the release against whoever holds its name, else against the base."""
    from tasks.core.evaluation.evaluated import read_marks
    from tasks.core.evaluation.promotion import Decision, Rival, decide

    if holder == digest:
        return Decision(True, None, None, ["it holds the name already"])
    marks = read_marks(job.folder("evaluate"))
    rival = None
    if holder:
        rival = _holder(job, server, f"{job.settings.release_tag}:latest")
    elif "base" in marks.of:
        rival = Rival("base", marks.of["base"])
    return decide(marks.of["released"], rival, marks.days)


def _holder(job: Job, server: "Server", tag: str) -> "Rival":
    """The model that holds the name is asked the same questions: like is compared with like."""
    from tasks.core.evaluation.answer import Endpoint, ask_all
    from tasks.core.evaluation.promotion import Rival
    from tasks.core.evaluation.questions import read_questions
    from tasks.core.evaluation.score import judge_all

    questions = read_questions(job.folder("evaluate") / "questions.jsonl")
    kept = job.out / "replies-holder.jsonl"
    replies = ask_all(Endpoint.of(server, tag), questions, kept, job.progress)
    return Rival("holder", judge_all(questions, replies))


def _conclude(settings: Settings, store: Store, promotion: Manifest) -> None:
    """Says why a release was not promoted, also if that was decided earlier, and cleans up."""
    found = promotion.metrics
    if found["promoted"] is False:
        log.warning(
            "%s is not promoted: %s. It stays under this tag; `kospilot promote %s` gives it the"
            " name all the same.",
            found["tag"],
            "; ".join(found["reasons"]),
            found["tag"],
        )
    for intermediate in _intermediates(store, promotion):
        if settings.release.keep_intermediates:
            store.keep(intermediate.ref)
        else:
            store.expend(intermediate.ref)


def _intermediates(store: Store, promotion: Manifest) -> list[Manifest]:
    """What the release was made from and can be rebuilt: the merged shards and the F16 file."""
    found = []
    manifest: Manifest | None = promotion
    for step in ("register", "quantize", "gguf", "merge"):
        manifest = manifest and store.manifest(step, manifest.lineage.get(step, ""))
        if manifest and manifest.expendable:
            found.append(manifest)
    return found


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
        "evaluate": ("questions.jsonl", "marks.jsonl"),
        "register": ("registration.json",),
    },
    # The key has the registered model, whose tag these make.
    consults=("release.name", "release.keep_intermediates", "stages.skip"),
    outside=_outside,
    version=2,  # a release is weighed against its base where nobody holds the name
    resumes=True,
    asks_server=True,
    served=_served,
    after=_conclude,
)
