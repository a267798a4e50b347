"""evaluate: the frozen questions to the release and to the models it is compared with."""

import importlib.metadata
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tasks.core.chain.step import Job, Reads, Step, Surroundings
from tasks.core.records.artifacts import Progress, stretch_of
from tasks.core.settings.tree import STAGES, Settings
from tasks.core.steps._compared import MAKING, compared_disk, compared_reads, served
from tasks.core.steps._contents import HELD_LOGS, TOKENIZER
from tasks.core.steps._shipped import cards_digest, prompt_digest, table_digests

if TYPE_CHECKING:
    from tasks.core.evaluation.evaluated import Evaluated
    from tasks.core.evaluation.page import About
    from tasks.core.serving.servers import Server

_TRAINED_ON = ("synthesize", "pairs")
"""The steps that made what the model was trained on; no question may be among their rows."""


_BOUND_TO = {"strategy": "bound to the kind's schema", "rows": "bound to no schema"}


def _reads_also(settings: Settings) -> Reads:
    reads = compared_reads(settings)
    if settings.evaluation.asks == "rows":
        return reads | {"normalize": ("rows.parquet", "test.parquet")}
    reads["market"] = ("holdout/*",)
    if "stage2" in settings.trained_stages:
        reads["synthesize"] = ("rows.jsonl",)
    if "stage3" in settings.trained_stages:
        reads["pairs"] = ("pairs.jsonl",)
    if settings.synthesis.logs:
        reads["synthesize"] = (*reads.get("synthesize", ()), HELD_LOGS)
    return reads


def _outside(around: Surroundings) -> dict[str, str]:
    if around.settings.evaluation.asks == "rows":
        return {}
    outside = {"strategy prompt": prompt_digest(), **table_digests()}
    if "briefed" in around.settings.compared_models:
        outside["rule cards"] = cards_digest()
    return outside


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.evaluation.evaluated import Evaluated
    from tasks.core.evaluation.page import write_page
    from tasks.core.evaluation.path_days import read_path_days
    from tasks.core.evaluation.questions import read_questions
    from tasks.core.evaluation.report import write_report
    from tasks.core.serving.servers import open_server, required_server

    if job.settings.evaluation.asks == "rows":
        apart = _ask_about_rows(job)
    else:
        apart = _ask_about_strategy(job)
    questions = read_questions(job.out / "questions.jsonl")
    cost_bp = job.settings.evaluation.cost_bp
    evaluated = Evaluated(questions, read_path_days(job.out), cost_bp)
    only_on = required_server(job.folder("download") / "base")
    with open_server(job.home, only_on) as server:
        _ask_models(job, server, evaluated)
    write_report(evaluated, job.out, toy=job.settings.model.base == "demo")
    write_page(evaluated, _about(job, evaluated), job.out / "report.html")
    for stage in STAGES:
        shutil.rmtree(job.out / stage, ignore_errors=True)
    summaries = {name: figures["summary"] for name, figures in evaluated.scores.items()}
    return {"apart_from_training": apart, **summaries}


def _ask_about_rows(job: Job) -> dict[str, Any]:
    """Writes the questions of the rows that were kept from training."""
    from tasks.core.evaluation.held_rows import build_row_questions

    rows = job.folder("normalize")
    settings = job.settings.evaluation
    return build_row_questions(rows / "test.parquet", rows / "rows.parquet", settings, job.out)


def _ask_about_strategy(job: Job) -> dict[str, Any]:
    """Writes the questions about held-out days, and proves that none was trained on."""
    from tasks.core.evaluation.path_days import build_path_days
    from tasks.core.evaluation.questions import build_questions
    from tasks.core.synthesis.guard import prove_apart

    holdout = job.folder("market") / "holdout"
    settings = job.settings.evaluation
    has_logs = HELD_LOGS in job.reads.get("synthesize", ())
    held_logs = job.folder("synthesize") / HELD_LOGS if has_logs else None
    build_questions(holdout, settings, job.out, held_logs)
    build_path_days(holdout, settings, job.out)
    trained_on = []
    for step in _TRAINED_ON:
        for file in job.reads.get(step, ()):
            if file != HELD_LOGS:
                trained_on.append(job.folder(step) / file)
    return prove_apart(holdout, job.out / "questions.jsonl", trained_on)


def _ask_models(job: Job, server: "Server", evaluated: "Evaluated") -> None:
    """Asks one model after the other, the release last, which is the one that was registered before
    and after.
    """
    from tasks.core.serving.registration import check_holds, read_registration

    compared = job.settings.compared_models
    share = 1 / (len(compared) + 1)
    for number, name in enumerate(compared):
        part = replace(job, progress=_named(name, stretch_of(job.progress, number * share, share)))
        with served(part, server, name) as tag:
            asking = replace(part, progress=stretch_of(part.progress, MAKING, 1 - MAKING))
            _ask(asking, server, tag, name, evaluated)
    registered = read_registration(job.folder("register"))
    tag = registered["tag"]
    check_holds(server, tag, registered["digest"])
    progress = _named("released", stretch_of(job.progress, 1 - share, share))
    _ask(replace(job, progress=progress), server, tag, "released", evaluated)
    check_holds(server, tag, registered["digest"])


def _ask(job: Job, server: "Server", tag: str, name: str, evaluated: "Evaluated") -> None:
    from tasks.core.evaluation.answer import Endpoint, Options, ask_all
    from tasks.core.evaluation.questions import briefed

    kept = job.out / f"replies-{name}.jsonl"
    endpoint = Endpoint.of(server, tag)
    questions = evaluated.asked
    if name == "briefed":
        questions = [briefed(question) for question in questions]
    options = Options(at_once=server.at_once(tag))
    evaluated.add(name, ask_all(endpoint, questions, kept, job.progress, options))


def _about(job: Job, evaluated: "Evaluated") -> "About":
    """What the page says of how the results came about."""
    from tasks.core.evaluation.page import About, read_table
    from tasks.core.evaluation.report import TOY
    from tasks.core.serving.registration import read_registration

    registration = read_registration(job.folder("register"))
    made = {
        "released": f"{registration['tag']}, digest {registration['digest']}",
        "base model": job.settings.model.base,
        "quantization": job.settings.release.quantization,
        "server": registration["server"],
        "replies": "one question at a time on each copy of the model, temperature 0, seed 42,"
        f" {_BOUND_TO[job.settings.evaluation.asks]}",
        "question set": f"seed {job.settings.evaluation.seed}",
        "kospilot": importlib.metadata.version("kospilot"),
        "evaluation": job.key,
    }
    notice = TOY if job.settings.model.base == "demo" else ""
    parity = read_table(job.folder("parity") / "parity.md")
    return About(f"{registration['tag']} evaluated", made, notice, parity)


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
        "register": ("registration.json",),
        "parity": ("verdict.json",),  # its table is on the page
        "download": TOKENIZER,
    },
    reads_also=_reads_also,
    settings=("evaluation",),
    # The others are served as the release is, whose tag is made of all its settings; the key has
    # the stages themselves; and a remark in the report depends on which base it is.
    consults=(
        "release.name",
        "release.quantization",
        "release.num_ctx",
        "release.num_predict",
        "release.system_language",
        "stages.skip",
        "model.base",
    ),
    outside=_outside,
    version=7,  # as synthesize's; balanced questions with twins; fully right, confusion
    resumes=True,
    pool="gpu",
    asks_server=True,
    retries_after_s=(5,),
    disk_also=compared_disk,
    report="Evaluation: the release beside the models it came from",
)
