"""evaluate: the frozen questions to the release and to the base model: table, chart, JSON."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from tasks.core.chain.step import Job, Reads, Step, Surroundings
from tasks.core.records.artifacts import Progress, stretch_of
from tasks.core.settings.tree import Settings
from tasks.core.steps._contents import TOKENIZER
from tasks.core.steps._shipped import prompt_digest, table_digests

if TYPE_CHECKING:
    from tasks.core.serving.servers import Server

_TRAINED_ON = ("synthesize", "pairs")
"""The steps that made what the model was trained on; no question may be among their rows."""


def _reads_also(settings: Settings) -> Reads:
    reads: Reads = {}
    if settings.evaluation.baseline:
        reads["baseline"] = ("model.gguf",)
    if "stage2" in settings.trained_stages:
        reads["synthesize"] = ("rows.jsonl",)
    if "stage3" in settings.trained_stages:
        reads["pairs"] = ("pairs.jsonl",)
    return reads


def _outside(around: Surroundings) -> dict[str, str]:
    return {"strategy prompt": prompt_digest(), **table_digests()}


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.evaluation.answer import Endpoint, ask_all
    from tasks.core.evaluation.evaluated import Evaluated
    from tasks.core.evaluation.questions import build_questions, read_questions
    from tasks.core.evaluation.report import write_report
    from tasks.core.serving.registration import read_registration
    from tasks.core.serving.servers import open_server
    from tasks.core.synthesis.guard import prove_apart

    holdout = job.folder("market") / "holdout"
    build_questions(holdout, job.settings.evaluation, job.out)
    trained_on = []
    for step in _TRAINED_ON:
        for file in job.reads.get(step, ()):
            trained_on.append(job.folder(step) / file)
    apart = prove_apart(holdout, job.out / "questions.jsonl", trained_on)
    evaluated = Evaluated(read_questions(job.out / "questions.jsonl"))
    with open_server(job.home) as server, ExitStack() as until_asked:
        tags = {}
        if job.settings.evaluation.baseline:
            tags["base"] = _serve_baseline(job, server)
            until_asked.callback(server.delete, tags["base"])
        tags["released"] = read_registration(job.folder("register"))["tag"]
        for number, (name, tag) in enumerate(tags.items()):
            report = _named(name, stretch_of(job.progress, number / len(tags), 1 / len(tags)))
            kept = job.out / f"replies-{name}.jsonl"
            endpoint = Endpoint.of(server, tag)
            evaluated.add(name, ask_all(endpoint, evaluated.questions, kept, report))
    write_report(evaluated, job.out, toy=job.settings.model.base == "demo")
    summaries = {name: figures["summary"] for name, figures in evaluated.scores.items()}
    return {"apart_from_training": apart, **summaries}


def _serve_baseline(job: Job, server: "Server") -> str:
    """Puts the base model on the server, for the comparison only, and returns its tag.

    It gets the release's own prompt and parameters.
    """
    from tasks.core.kinds.base import system_prompt
    from tasks.core.serving.modelfile import build_modelfile
    from tasks.core.serving.tags import temporary_tag

    release = job.settings.release
    base = job.folder("download") / "base"
    modelfile = build_modelfile(base, release, system_prompt(release.system_language))
    tag = temporary_tag(release.name, "base", job.key)
    server.create(tag, job.folder("baseline") / "model.gguf", modelfile, job.progress)
    return tag


def _named(model: str, progress: Progress) -> Progress:
    """Returns the progress with the model's name before each text."""

    def report(share: float, text: str) -> None:
        progress(share, f"{model}: {text}")

    return report


STEP = Step(
    name="evaluate",
    build=_build,
    content=("questions.jsonl", "marks.jsonl", "scores.json"),
    reads={
        "market": ("holdout/*",),
        "register": ("registration.json",),
        "download": TOKENIZER,
    },
    reads_also=_reads_also,
    settings=("evaluation",),
    # The base is served as the release is, whose tag is made of all its settings; and a remark in
    # the report depends on which base it is.
    consults=(
        "release.name",
        "release.num_ctx",
        "release.num_predict",
        "release.system_language",
        "model.base",
    ),
    outside=_outside,
    version=4,  # intervals are drawn over days, and promote reads each question's marks
    resumes=True,
    asks_server=True,
    retries_after_s=(5,),
    report="Evaluation: the base model next to the release",
)
