"""kospilot evaluate: the frozen questions to any models, side by side."""

import importlib.metadata
import re
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from flows.commands.models import digest_of
from flows.commands.options import Json
from flows.console import print_json, say, stderr, stdout
from tasks.core.errors import RequestError, WorkError
from tasks.core.evaluation.endpoint import KEY_VARIABLE
from tasks.core.settings.evaluation import COST_BP

if TYPE_CHECKING:
    from flows.commands.adapters import Request
    from tasks.core.evaluation.answer import Endpoint, Options
    from tasks.core.evaluation.evaluated import Evaluated
    from tasks.core.records.artifacts import Progress
    from tasks.core.serving.servers import Server

_MADE = 2
"""Raised when the same adapter is made into another file: its kept replies then count no more."""

_Named = Annotated[
    list[str],
    typer.Argument(
        help="Models: a tag on the server, URL#MODEL of an OpenAI-style endpoint, an adapter's"
        " folder or a stage (stage2). The last is compared with the first."
    ),
]
_Set = Annotated[
    Path | None,
    typer.Option("--set", help="A questions.jsonl; by default the newest evaluation's."),
]
_Out = Annotated[Path, typer.Option(help="Where table, chart, page and replies go.")]
_To = Annotated[
    Path | None, typer.Option(help="The page's file; by default report.html among these.")
]
_Base = Annotated[
    str | None, typer.Option(help="Adapters' base model; by default the one that each names.")
]
_Quantization = Annotated[
    str, typer.Option("-q", "--quantization", help="In which adapters are asked.")
]
_KeyFrom = Annotated[str, typer.Option(help="Environment variable with the key to URL#MODEL.")]
_Parallel = Annotated[int, typer.Option(min=1, max=64, help="Requests at a time to URL#MODEL.")]
_CostBp = Annotated[
    float,
    typer.Option(
        min=0, max=1_000, help="What the path's trades cost, in basis points of what is traded."
    ),
]
_Timeout = Annotated[float, typer.Option(min=1, help="Seconds that one reply may take.")]


@dataclass(frozen=True)
class _Models:
    """The models that were named, sorted by how they are asked; all of it was checked."""

    names: list[str]
    endpoints: dict[str, "Endpoint"]  # URL#MODEL -> where it is asked
    adapters: dict[str, "Request"]  # folder -> how it is made into a model


@dataclass(frozen=True)
class _Place:
    """Where what was found out goes, and how it is asked for."""

    home: Path
    out: Path
    options: "Options"
    report: "Progress"

    def replies(self, model: str) -> Path:
        """The file that keeps a model's replies."""
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", model).strip("-.")
        return self.out / f"replies-{name}.jsonl"

    def progress_of(self, model: str) -> "Progress":
        """The progress with the model's name before each text."""
        return lambda share, text: self.report(share, f"{model}: {text}")


def add_to(app: typer.Typer) -> None:
    """Adds this file's command to the application."""
    app.command()(evaluate)


def evaluate(
    models: _Named,
    questions: _Set = None,
    out: _Out = Path("evaluation"),
    to: _To = None,
    base: _Base = None,
    quantization: _Quantization = "Q4_K_M",
    key_from: _KeyFrom = KEY_VARIABLE,
    parallel: _Parallel = 1,
    timeout: _Timeout = 600,
    cost_bp: _CostBp = COST_BP,
    as_json: Json = False,
) -> None:
    """Asks models the frozen questions and shows their scores side by side.

    Replies are kept: the same command after an interruption asks only what is missing.
    """
    from tasks.core.evaluation.answer import Options
    from tasks.core.evaluation.evaluated import Evaluated
    from tasks.core.evaluation.path_days import read_path_days
    from tasks.core.evaluation.questions import read_questions
    from tasks.core.evaluation.report import all_figures, write_report
    from tasks.core.settings.home import kospilot_home

    if isnan(cost_bp):  # which is below no limit
        raise RequestError("--cost-bp nan is no number of basis points: write e.g. 5.")
    home = kospilot_home()
    file = questions or _newest_questions(home)
    evaluated = Evaluated(read_questions(file), read_path_days(file.parent), cost_bp)
    named = _sort(models, home, key_from, base, quantization)
    options = Options(timeout_s=timeout, at_once=parallel)
    with stderr.status("") as status, ExitStack() as held:
        place = _Place(home, out, options, lambda share, text: status.update(escape(text)))
        server = _open_for_tags(named, home, held)
        out.mkdir(parents=True, exist_ok=True)
        for name in named.names:
            _ask_model(name, named, server, place, evaluated)
    write_report(evaluated, out, toy=False)
    page = _write_page(evaluated, to or out / "report.html", parallel)
    if as_json:
        print_json(all_figures(evaluated))
    else:
        stdout.print((out / "table.md").read_text(encoding="utf-8"), markup=False)
        say(f"The page is {page}. Table, chart and replies are in {out}.")


def _sort(
    models: Sequence[str], home: Path, key_from: str, base: str | None, quantization: str
) -> _Models:
    """Looks at what each model is. Raises RequestError before anything is asked."""
    from tasks.core.evaluation.endpoint import Endpoint
    from tasks.core.settings.tree import STAGES

    if len(set(models)) < len(models):
        raise RequestError("A model is named twice: leave one out.")
    endpoints = {}
    adapters = {}
    for model in models:
        if "://" in model:
            endpoints[model] = Endpoint.at(model, key_from)
        elif model in STAGES or Path(model).expanduser().is_dir():
            adapters[model] = _adapter(model, home, base, quantization)
    return _Models(list(models), endpoints, adapters)


def _adapter(name: str, home: Path, base: str | None, quantization: str) -> "Request":
    from flows.commands.adapters import (
        Request,
        checked_quantization,
        checked_values,
        find_adapter,
    )

    source = find_adapter(name, base, home)
    return Request(
        source=source,
        name=f"{source.name}:evaluated",
        quantization=checked_quantization(quantization),
        system=None,
        trained_on=checked_values(source.folder, None),
    )


def _open_for_tags(named: _Models, home: Path, held: ExitStack) -> "Server | None":
    """The server that holds the models, if any was named by its tag; a tag that it does not have is
    refused.
    """
    from tasks.core.serving.servers import open_holder

    tags = [name for name in named.names if name not in named.endpoints | named.adapters]
    if not tags:
        return None
    server = held.enter_context(open_holder(home, tags[0]))
    for tag in tags:
        digest_of(server, tag)
    return server


def _ask_model(
    name: str, named: _Models, server: "Server | None", place: _Place, evaluated: "Evaluated"
) -> None:
    """Asks one model what it was not asked yet, wherever it is."""
    from tasks.core.evaluation.answer import Endpoint

    if name in named.endpoints:
        _ask(named.endpoints[name], name, place, evaluated)
        return
    one_at_a_time = replace(place, options=replace(place.options, at_once=1))
    if name in named.adapters:
        _ask_adapter(named.adapters[name], name, one_at_a_time, evaluated)
        return
    assert server, "it is opened if a tag is named"
    _ask(Endpoint.of(server, name), name, one_at_a_time, evaluated)


def _ask_adapter(request: "Request", name: str, place: _Place, evaluated: "Evaluated") -> None:
    """Makes the adapter's model and serves it on the embedded server, unless all was asked."""
    from flows.commands.adapters import make_model, workplace
    from flows.commands.proof import training_rows
    from tasks.core.evaluation.answer import Endpoint, all_kept
    from tasks.core.serving.embedded import EmbeddedServer

    known = Endpoint("", name, _identity(request))
    if all_kept(place.replies(name), known, evaluated.asked):
        _ask(known, name, place, evaluated)
        return
    report = place.progress_of(name)
    with workplace(place.out) as work:
        rows = training_rows(request, place.home, work, report)
        made = make_model(request, rows.strategy or rows.finance, work, place.home, report)
        made.parts.remove_intermediates()
        model = made.model
        with closing(EmbeddedServer(work)) as server:
            server.create(model.tag, model.gguf, model.modelfile, report)
            _ask(replace(known, url=server.openai_url, model=model.tag), name, place, evaluated)


def _identity(request: "Request") -> str:
    """Names the model that an adapter makes, without making it: the one that `release` makes."""
    from tasks.core.files.digests import digest_file, digest_value

    adapter = request.source.folder
    files = [adapter / "adapter_config.json", *sorted(adapter.glob("*.safetensors"))]
    digests = [digest_file(file) for file in files]
    made = [digests, request.source.base, request.quantization, request.system, _MADE]
    return digest_value(made)


def _ask(endpoint: "Endpoint", name: str, place: _Place, evaluated: "Evaluated") -> None:
    from tasks.core.evaluation.answer import ask_all, kept_replies

    file = place.replies(name)
    questions = evaluated.asked
    report = place.progress_of(name)
    try:
        evaluated.add(name, ask_all(endpoint, questions, file, report, place.options))
    except (RequestError, WorkError):
        kept = len(kept_replies(file, endpoint, questions))
        say(f"{name}: {kept} of {len(questions)} replies are kept in {file}.")
        raise


def _write_page(evaluated: "Evaluated", file: Path, parallel: int) -> Path:
    from tasks.core.evaluation.page import About, write_page

    made = {
        "replies": f"{parallel} at a time from endpoints, one from other models; temperature 0,"
        " seed 42, bound to the kind's schema",
        "kospilot": importlib.metadata.version("kospilot"),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    write_page(evaluated, About(f"{' beside '.join(evaluated.scores)}", made), file)
    return file


def _newest_questions(home: Path) -> Path:
    from tasks.core.chain.store import Store

    store = Store(home / "artifacts")
    evaluated = store.manifests("evaluate")
    if not evaluated:
        raise RequestError("No evaluation was made yet. Name a question file with --set FILE.")
    store.check(evaluated[-1].ref)
    return store.path("evaluate", evaluated[-1].key) / "questions.jsonl"
