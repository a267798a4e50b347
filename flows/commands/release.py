"""kospilot release: one adapter, trained anywhere, as a GGUF that answers as it was trained."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands.adapters import (
    Request,
    checked_quantization,
    checked_values,
    find_adapter,
    make_model,
    workplace,
)
from flows.commands.options import Json
from flows.commands.proof import check_rows, prove, training_rows
from flows.console import print_json, say, stderr
from tasks.core.errors import RequestError

if TYPE_CHECKING:
    from flows.commands.adapters import Made
    from tasks.core.records.artifacts import Progress


def add_to(app: typer.Typer) -> None:
    """Adds this file's command to the application."""
    app.command()(release)


def release(
    adapter: Annotated[
        str,
        typer.Argument(help="A PEFT adapter's folder, a stage (stage3), or an artifact's key."),
    ],
    base: Annotated[
        str | None,
        typer.Option(help="Base model, a folder or hub id; by default the one the adapter names."),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(help="Write GGUF, Modelfile, card and licence to this new folder instead."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The model's name; by default the adapter folder's.")
    ] = None,
    quantization: Annotated[
        str, typer.Option("-q", "--quantization", help="llama.cpp's name, e.g. Q8_0 or F16.")
    ] = "Q4_K_M",
    system: Annotated[
        str | None, typer.Option(help="System prompt; by default that of the training.")
    ] = None,
    trained_on: Annotated[
        str | None,
        typer.Option(help="nf4 (QLoRA) or 16bit, if the adapter's folder does not say it."),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            help="Rows of its training, to prove it with and to weigh its matrices by; by default"
            " its stage's, else packaged ones."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Merges an adapter into its base, quantizes it, proves that each step is still the model that
    was trained, and puts it on the server or into a folder.
    """
    import logging

    from tasks.core.settings.home import kospilot_home

    # That bitsandbytes lacks a CPU kernel is no matter here.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    home = kospilot_home()
    source = find_adapter(adapter, base, home)
    request = Request(
        source=source,
        name=_checked_name(name or source.name),
        quantization=checked_quantization(quantization),
        system=_checked_system(system),
        trained_on=checked_values(source.folder, trained_on),
        rows_file=check_rows(rows),
    )
    told = _export(request, to, home) if to else _register(request, home)
    if as_json:
        print_json(told)


def _checked_name(name: str) -> str:
    from tasks.core.serving.tags import full_name
    from tasks.core.settings.model_names import fault_of_name

    fault = fault_of_name(name)
    if fault:
        raise RequestError(f"Ollama would refuse the model's name, since {fault}: --name NAME.")
    return full_name(name)


def _checked_system(system: str | None) -> str | None:
    if system and '"""' in system:
        raise RequestError(
            '--system: a Modelfile cannot hold """ in a system prompt. Leave it out.'
        )
    return system


def _register(request: Request, home: Path) -> dict[str, Any]:
    """Puts the model on the machine's server. Raises RequestError if its name is taken."""
    from tasks.core.serving.registration import register
    from tasks.core.serving.servers import (
        open_holder,
        open_server,
        required_server,
        where_answered,
    )

    with open_holder(home, request.name) as server:
        if server.digest(request.name):
            raise RequestError(
                f"{request.name} is on {server.name} already and stays as it is. Give the new one"
                " another name: --name NAME."
            )
    home.mkdir(parents=True, exist_ok=True)
    with workplace(home) as work, _shown() as report:
        made = _make_proven(request, work, home, report)
        with open_server(home, required_server(made.model.tokenizer_dir)) as server:
            registered = register(server, made.model, report)
    say(f"{request.name} is on {registered['server']}: {_size(made.parts.metrics)}.")
    say(where_answered(home, registered["server"]))
    return {**made.parts.metrics, **registered}


def _export(request: Request, to: Path, home: Path) -> dict[str, Any]:
    """Writes a folder for `ollama create`, which appears whole or not at all."""
    from tasks.core.release.export import Provenance, check_free, write_export
    from tasks.core.serving.embedded import EmbeddedServer
    from tasks.core.serving.registration import register

    check_free(to)
    source = request.source
    words = str(request.trained_on or "the base's weights as they are")
    provenance = Provenance(request.name.partition(":")[0], source.origin, source.folder, words)
    existing = next(folder for folder in to.absolute().parents if folder.is_dir())
    with workplace(existing) as work, _shown() as report:
        made = _make_proven(request, work, home, report)
        with closing(EmbeddedServer(work)) as server:
            proof = register(server, made.model, report)
        folder = work / "whole"
        folder.mkdir()
        made.model.gguf.rename(folder / "model.gguf")
        text = made.model.modelfile.text("./model.gguf")
        write_export(folder, text, made.model.tokenizer_dir, provenance, made.parts.metrics)
        to.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(to)
    names = ", ".join(sorted(file.name for file in to.iterdir()))
    say(f"{to} holds {names}: {_size(made.parts.metrics)}.")
    say(f"Put it into any Ollama: ollama create {provenance.name} -f {to / 'Modelfile'}")
    proven = proof["prompts_proven"]
    return {**made.parts.metrics, "folder": str(to), "prompts_proven": proven}


def _make_proven(request: Request, work: Path, home: Path, report: "Progress") -> "Made":
    """Makes the model, and raises WorkError unless it is still the one that was trained."""
    rows = training_rows(request, home, work, report)
    made = make_model(request, rows.strategy or rows.finance, work, home, report)
    prove(request, made, rows, work, report)
    made.parts.remove_intermediates()
    return made


def _size(metrics: dict[str, Any]) -> str:
    bits = f"{metrics['bits_per_weight']:.2f} bits a weight"
    return f"{metrics['quantization']}, {metrics['bytes'] / 1e6:,.0f} MB, {bits}"


@contextmanager
def _shown() -> Iterator["Progress"]:
    """A progress whose text is in the terminal's last line."""
    with stderr.status("") as status:
        yield lambda share, text: status.update(text)
