"""kospilot ask, chat, schema, promote, rollback: the models on the server."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands.options import Json
from flows.console import print_json, say, stderr, stdout
from flows.encoding import typed
from tasks.core.errors import RequestError, did_you_mean
from tasks.core.scripts import visible

if TYPE_CHECKING:
    from tasks.core.evaluation.records import Question
    from tasks.core.serving.servers import Server

Tag = Annotated[
    str | None,
    typer.Argument(
        help="A model on the server; by default the one promoted last, or the newest release if"
        " none was."
    ),
]
_TAG = re.compile(r"[\w./:-]+", re.ASCII)


def add_to(app: typer.Typer) -> None:
    """Adds this file's commands to the application."""
    for command in (ask, chat, schema, promote, rollback):
        app.command()(command)


def ask(
    tag: Tag = None,
    text: Annotated[
        str | None, typer.Argument(help="Your own question; else one is made from the market.")
    ] = None,
    kind: Annotated[str, typer.Option(help="The kind of answer.")] = "regime_classification",
    market: Annotated[
        Path | None, typer.Option("--market", help="A market folder to ask about.")
    ] = None,
    date: Annotated[str | None, typer.Option(help="The day to ask about, YYYY-MM-DD.")] = None,
    as_json: Json = False,
) -> None:
    """Asks for one schema-bound answer, which is graded if the question is ours."""
    from tasks.core.evaluation.graded import make_question, own_question
    from tasks.core.files.scratch import scratch_folder
    from tasks.core.market.artifact import write_days
    from tasks.core.market.demo import ensure_demo_market
    from tasks.core.settings.home import kospilot_home

    home = kospilot_home()
    if tag and text is None and not _TAG.fullmatch(tag):  # the only argument is a question
        text = tag
        tag = None
    text = text and typed(text)
    if tag is None:
        _newest_promotion(home)  # none is better known before a question is made
    if text:
        ask_and_show(home, tag, own_question(kind, text), as_json)
        return
    if market is None:
        market = home / "market" / "demo"
        ensure_demo_market(market)
    with scratch_folder() as scratch:
        write_days(market, Path(scratch))
        question = make_question(kind, Path(scratch), date)
    ask_and_show(home, tag, question, as_json)


def ask_and_show(home: Path, tag: str | None, question: "Question", as_json: bool = False) -> None:
    """Asks the model, by default the one promoted last, and prints question, answer and grade."""
    from tasks.core.evaluation.answer import Endpoint
    from tasks.core.evaluation.graded import graded_answer, show
    from tasks.core.serving.servers import open_holder

    with open_holder(home, tag or _newest_promotion(home)["tag"]) as server:
        tag = tag or _newest_model(home, server)
        digest_of(server, tag)  # a wrong name is refused with those there are
        answer = graded_answer(Endpoint.of(server, tag), question)
    if as_json:
        print_json(answer)
    else:
        stdout.print(show(answer))


def chat(tag: Tag = None) -> None:
    """Talk with the model; an empty line or Ctrl-D ends it."""
    from tasks.core.evaluation.answer import Endpoint, Options
    from tasks.core.evaluation.answer import ask as ask_model
    from tasks.core.serving.servers import open_holder
    from tasks.core.settings.home import kospilot_home

    home = kospilot_home()
    own = Options(temperature=None, seed=None)  # the model's own
    messages: list[dict[str, str]] = []
    with open_holder(home, tag or _newest_promotion(home)["tag"]) as server:
        tag = tag or _newest_model(home, server)
        say(f"{tag} on {server.name}. An empty line ends it.")
        endpoint = Endpoint.of(server, tag)
        while True:
            text = _read_line()
            if not text:
                break
            messages.append({"role": "user", "content": text})
            reply = ask_model(endpoint, messages, options=own)
            messages.append({"role": "assistant", "content": reply.text})
            stdout.print(visible(reply.text), markup=False)
            if reply.finish_reason == "length":
                say(
                    f"(cut after {reply.completion_tokens} tokens, the model's num_predict;"
                    " say `go on`)"
                )


def schema(
    kind: Annotated[str, typer.Argument(help="A kind of answer.")],
    rules: Annotated[
        bool, typer.Option("--rules", help="Print the kind's rule card instead.")
    ] = False,
) -> None:
    """Prints the kind's JSON Schema, for Ollama's `format` or OpenAI's `response_format`."""
    from tasks.core.kinds import kind_named

    if rules:
        stdout.print(kind_named(kind).card, markup=False, highlight=False, soft_wrap=True)
    else:
        print_json(kind_named(kind).schema)


def promote(tag: Annotated[str, typer.Argument(help="NAME:TAG of a registered model.")]) -> None:
    """Makes a registered model its name's `latest`; the one before stays as `previous`."""
    from tasks.core.chain.housekeeping import mark_promotions
    from tasks.core.chain.store import Store
    from tasks.core.serving.registration import promote as move_tag
    from tasks.core.serving.servers import open_holder
    from tasks.core.settings.home import kospilot_home

    home = kospilot_home()
    name = tag.partition(":")[0]
    with open_holder(home, tag) as server:
        digest = digest_of(server, tag)
        _check_registered(home, tag, digest)
        move_tag(server, tag, digest, name)
    mark_promotions(Store(home / "artifacts"), name, digest, rolled=False)
    say(f"{name}:latest is {tag} now; `kospilot rollback {name}` undoes it.")


def rollback(name: Annotated[str, typer.Argument(help="The model's name, without a tag.")]) -> None:
    """Gives the name back to the model that held it before."""
    from tasks.core.chain.housekeeping import mark_promotions
    from tasks.core.chain.store import Store
    from tasks.core.serving.registration import rollback as move_back
    from tasks.core.serving.servers import open_holder
    from tasks.core.settings.home import kospilot_home

    home = kospilot_home()
    with open_holder(home, f"{name}:latest") as server:
        taken_back = move_back(server, name)
    if taken_back:
        mark_promotions(Store(home / "artifacts"), name, taken_back, rolled=True)
    say(f"{name}:latest is the previous model again.")


def digest_of(server: "Server", tag: str) -> str:
    """The digest of a model on the server. Raises RequestError, with those there are, if none has
    this tag.
    """
    from tasks.core.serving.tags import same_name

    digest = server.digest(tag)
    if digest is None:
        known = [name for name in server.tags() if not same_name(name, tag)]  # it is damaged
        there = ", ".join(known) or "none; run `kospilot demo` first"
        raise RequestError(
            f"There is no model {tag!r} on {server.name}.{did_you_mean(tag, known)} There are:"
            f" {there}."
        )
    return digest


def _check_registered(home: Path, tag: str, digest: str) -> None:
    """Raises RequestError if a run registered another model under this tag."""
    from tasks.core.chain.store import Store
    from tasks.core.serving.tags import same_name

    for manifest in Store(home / "artifacts").manifests("register"):
        registered = manifest.metrics
        if same_name(registered["tag"], tag) and registered["digest"] != digest:
            raise RequestError(
                f"{tag} on the server is another model than the one that was registered under it:"
                f" its digest is {digest[:19]}, not {registered['digest'][:19]}. Run the release"
                " again, which registers it again."
            )


def _newest_model(home: Path, server: "Server") -> str:
    """The model that holds the newest release's name, or that release itself if none does."""
    promotion = _newest_promotion(home)
    holder = f"{promotion['name']}:latest"
    if promotion["promoted"] or server.digest(holder):
        return holder
    tag: str = promotion["tag"]
    say(f"{tag} was not promoted; it is asked under its own tag.")
    return tag


def _newest_promotion(home: Path) -> dict[str, Any]:
    """What the newest run decided of its release, promoted or not."""
    from tasks.core.chain.store import Store

    promotions = Store(home / "artifacts").manifests("promote")
    if not promotions:
        raise RequestError("No model was released yet. Run `kospilot demo`, or name a model.")
    return promotions[-1].metrics


def _read_line() -> str:
    try:
        return typed(stderr.input("> ").strip())
    except EOFError:
        return ""
