"""Which model server answers on this machine: OLLAMA_HOST's, else a private Ollama, else the
embedded one. A model whose prompts Ollama cannot write is on the embedded one in any case.

All three are one `Server` to the rest of the code. A private Ollama keeps its models under
KOSPILOT_HOME/ollama and ends with the block that opened it.
"""

import importlib.metadata
import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from tasks.core.chat.families import find_family, why_no_family
from tasks.core.chat.template import ChatTemplate, Messages
from tasks.core.errors import WorkError
from tasks.core.processes.child import stop_child
from tasks.core.processes.http import is_loopback
from tasks.core.processes.server import GUARD, Program, free_port, start_server
from tasks.core.records.artifacts import Progress
from tasks.core.records.servers import AskedServer
from tasks.core.serving.embedded import EmbeddedServer
from tasks.core.serving.modelfile import Modelfile
from tasks.core.serving.ollama import OllamaServer
from tasks.core.serving.ollama_api import answers, refuse_old, refuse_others, version_at
from tasks.core.serving.ollama_host import host_url
from tasks.core.serving.tags import belongs_to, find
from tasks.core.serving.weights import OllamaFiles
from tasks.core.tools import Ollama, find_ollama

log = logging.getLogger(__name__)


class Server(AskedServer, Protocol):
    """A model server whose models are put there, asked, named and removed."""

    name: str
    """What artifact keys call the server."""

    def create(self, tag: str, gguf: Path, modelfile: Modelfile, progress: Progress) -> str:
        """Registers a model and returns its digest."""

    def tags(self) -> dict[str, str]:
        """Returns the digest of every model, by its full name."""

    def at_once(self, tag: str) -> int:
        """Returns how many requests at once a model answers faster than one by one, and alike."""

    def render(self, tag: str, messages: Messages) -> str:
        """Returns the prompt text that the model would get for a conversation."""

    def count_tokens(self, tag: str, messages: Messages) -> int:
        """Returns the number of the prompt's tokens as the server counts them."""

    def copy(self, source: str, target: str) -> None:
        """Gives a model a second name; the digest stays."""

    def unload(self, tag: str) -> None:
        """Frees the memory that a model holds, e.g. for a training; the next question loads it
        again. Nothing happens if it is not loaded.
        """

    def delete(self, tag: str) -> None:
        """Removes a name, and the weights if no other name needs them. Nothing happens if it is not
        there.
        """

    def close(self) -> None:
        """Ends what was started to reach the server."""


def server_name(home: Path) -> str:
    """Returns the name of the server that `open_server` would open, without starting it."""
    url = host_url()
    if url:
        return _ollama_name(url)
    return "ollama private" if find_ollama(home) else EmbeddedServer.name


def server_version(home: Path, digest_of: Callable[[Path], str]) -> str:
    """Returns what tells the server's program from an older or newer one, without starting it.

    That is the version which OLLAMA_HOST's server names ("unknown" if it does not answer), the
    digest of a private Ollama's program, or the embedded server's version.
    """
    url = host_url()
    if url:
        return version_at(url)
    ollama = find_ollama(home)
    if ollama:
        return digest_of(ollama.binary)
    return importlib.metadata.version("xllamacpp")


def _ollama_name(url: str) -> str:
    return f"ollama {url}"


def where_answered(home: Path, server: str) -> str:
    """Returns where apps find the promoted model, in words for the user.

    server: the name of the one that holds it.
    """
    url = host_url()
    if server == EmbeddedServer.name and server_name(home) != server:
        return (
            "The model is on kospilot's embedded server, which runs only while a command asks it:"
            " Ollama has no template for it. For apps that ask at any time, serve its GGUF with"
            " llama.cpp's own llama-server."
        )
    if url:
        return f"Apps ask the model at {url}, or at {url}/v1 in OpenAI's style."
    return (
        f"The model is on kospilot's own server ({server_name(home)}), which runs only while a"
        " command asks it. For apps that ask at any time, run the same command with"
        " OLLAMA_HOST=127.0.0.1:11434 (your own Ollama's address)."
    )


def required_server(tokenizer_dir: Path) -> str | None:
    """Returns the name of the server that alone can serve a model with this tokenizer, or None if
    the machine's can, whichever it is.

    The embedded server runs the tokenizer's own template. Ollama needs one in Go's language.
    """
    template = ChatTemplate(tokenizer_dir)
    if find_family(template):
        return None
    log.warning(
        "The embedded server is used and not Ollama: the chat template of %s is %s, so Ollama would"
        " ask the model otherwise than it was trained",
        tokenizer_dir,
        why_no_family(template),
    )
    return EmbeddedServer.name


@contextmanager
def open_server(home: Path, name: str | None = None) -> Iterator[Server]:
    """Opens the machine's server for the time of a block.

    name: that of the server which holds the model, or which alone can; "embedded" opens the
    embedded one though there is an Ollama. Raises WorkError if OLLAMA_HOST's server does not
    answer.
    """
    server = EmbeddedServer(home) if name == EmbeddedServer.name else _open(home)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def open_holder(home: Path, tag: str) -> Iterator[Server]:
    """Opens the server that holds a model: the machine's, unless only the embedded one has it."""
    with open_server(home) as server, closing(EmbeddedServer(home)) as embedded:
        if server.digest(tag) is None and embedded.digest(tag):
            yield embedded
        else:
            yield server


class HeldModels:
    """The models that the machine's server and the embedded one hold; the server is asked once,
    and only if it must be.
    """

    def __init__(self, home: Path):
        self._home = home
        self._digests: dict[str, str] | None = None

    def problem(self, tag: str, digest: str) -> str | None:
        """Returns why no server holds this very model under this tag, or None if one does."""
        embedded = EmbeddedServer(self._home)
        if embedded.digest(tag) == digest:
            return None
        try:
            digests = self._ask()
        except WorkError as error:
            return str(error)
        held = find(digests, tag)
        if held is None:
            return embedded.problem(tag) or f"{server_name(self._home)} does not hold {tag}"
        if held != digest:
            return f"{tag} on {server_name(self._home)} is another model now"
        files = _files_of(self._home)
        damaged = files.find_damaged(tag) if files else None
        return f"the content of its weights changed: {damaged}" if damaged else None

    def _ask(self) -> dict[str, str]:
        if self._digests is None:
            with open_server(self._home) as server:
                self._digests = server.tags()
        return self._digests


def check_reachable() -> None:
    """Raises WorkError if OLLAMA_HOST names a server that does not answer, is no Ollama or is too
    old, which is better known before hours of training.
    """
    url = host_url()
    if url is None:
        return
    try:
        refuse_others(url)
    except WorkError as error:
        raise WorkError(f"OLLAMA_HOST names {url} and no Ollama answers there. {error}") from None
    refuse_old(url)


def free_card(name: str) -> None:
    """Unloads a release's models, temporary ones too, from OLLAMA_HOST's server.

    That server keeps a model for minutes after a question, and a training needs the memory.
    The other servers end with the block that opened them, and a server that does not answer holds
    nothing of ours.
    """
    url = host_url()
    if url is None or not answers(url):
        return
    with closing(OllamaServer(url, _ollama_name(url))) as server:
        for tag in server.loaded():
            if belongs_to(tag, name):
                log.info("%s is unloaded from %s: a training needs the memory", tag, url)
                server.unload(tag)


def _open(home: Path) -> Server:
    url = host_url()
    if url:
        check_reachable()
        return OllamaServer(url, _ollama_name(url), files=_files_of(home))
    ollama = find_ollama(home)
    if ollama:
        return _open_private(ollama, home)
    log.warning(
        "No Ollama on this machine (neither OLLAMA_HOST nor on PATH): the embedded server answers"
        " instead. `kospilot tools install ollama` brings one."
    )
    return EmbeddedServer(home)


def _open_private(ollama: Ollama, home: Path) -> OllamaServer:
    """Starts Ollama on a free loopback port, with our own models and one slot.

    An Ollama that starts removes the blobs that no model names yet, also those that another one of
    ours is just being given. So only the first of them tidies up, and holds the lock while it runs.
    """
    folder = home / "ollama"
    folder.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{free_port()}"
    env = {
        "HOME": str(folder),
        "OLLAMA_HOST": url.removeprefix("http://"),
        "OLLAMA_MODELS": str(folder / "models"),
        "OLLAMA_ORIGINS": "",  # what the user lets into another Ollama is not let into this one
        "OLLAMA_NUM_PARALLEL": "1",
        "OLLAMA_MAX_LOADED_MODELS": "1",
    }
    first = FileLock(folder / ".lock")
    try:
        first.acquire(timeout=0)
    except Timeout:
        env["OLLAMA_NOPRUNE"] = "1"
    log.info("Ollama runs privately at %s; its models are in %s", url, folder / "models")
    program = Program([*GUARD, ollama.binary, "serve"], env)
    try:
        process = start_server(program, home / "logs" / "ollama.log", lambda: answers(url))
    except BaseException:
        first.release(force=True)
        raise

    def close() -> None:
        stop_child(process)
        first.release(force=True)

    try:
        refuse_old(url)
    except WorkError:
        close()
        raise
    return OllamaServer(url, "ollama private", close, _files_of(home))


def _files_of(home: Path) -> OllamaFiles | None:
    """What the machine's Ollama keeps here; None if it is another machine's."""
    url = host_url()
    if url is None:
        return OllamaFiles.private(home)
    return OllamaFiles.of_machine(home) if is_loopback(urlsplit(url).hostname or "") else None
