"""Which model server answers on this machine: OLLAMA_HOST's, else a private Ollama, else the
embedded one.

All three are one `Server` to the rest. A private Ollama keeps its models under KOSPILOT_HOME/ollama
and ends with the block that opened it.
"""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from tasks.core.errors import WorkError
from tasks.core.processes.child import stop_child
from tasks.core.processes.server import free_port, start_server
from tasks.core.records.artifacts import Progress
from tasks.core.serving.embedded import EmbeddedServer
from tasks.core.serving.modelfile import Messages, Modelfile
from tasks.core.serving.ollama import OllamaServer, answers, host_url
from tasks.core.tools import Ollama, find_ollama

log = logging.getLogger(__name__)


class Server(Protocol):
    """A model server: its models by tag (NAME:TAG), their prompts, and an OpenAI-style endpoint to
    ask them at.
    """

    name: str  # what artifact keys call it

    @property
    def openai_url(self) -> str: ...
    def create(self, tag: str, gguf: Path, modelfile: Modelfile, progress: Progress) -> str: ...
    def tags(self) -> dict[str, str]: ...
    def digest(self, tag: str) -> str | None: ...
    def render(self, tag: str, messages: Messages) -> str: ...
    def count_tokens(self, tag: str, messages: Messages) -> int: ...
    def copy(self, source: str, target: str) -> None: ...
    def delete(self, tag: str) -> None: ...
    def close(self) -> None: ...


def server_name(home: Path) -> str:
    """What `open_server` would open, without starting it."""
    if url := host_url():
        return f"ollama {url}"
    return "ollama private" if find_ollama(home) else EmbeddedServer.name


def where_answered(home: Path) -> str:
    """Where apps find the promoted model, in words for the user."""
    if url := host_url():
        return f"Apps ask the model at {url}, or at {url}/v1 in OpenAI's style."
    return (
        f"The model is on kospilot's own server ({server_name(home)}), which runs only while a command asks it. For"
        " apps that ask at any time, run the same command with OLLAMA_HOST=127.0.0.1:11434 (your own Ollama's address)."
    )


@contextmanager
def open_server(home: Path) -> Iterator[Server]:
    """The machine's server for the time of a block. Raises WorkError if OLLAMA_HOST's does not
    answer.
    """
    server = _open(home)
    try:
        yield server
    finally:
        server.close()


def live_reason(home: Path) -> Callable[[Any], str | None]:
    """A function that says why a register or promote artifact is no longer true of the server, or
    None if it is.

    It is given the artifact's manifest, and asks the server once for all artifacts.
    """
    found: dict[str, str] | None = None

    def reason(manifest: Any) -> str | None:
        nonlocal found
        if (
            manifest.recipe.step not in ("register", "promote")
            or manifest.metrics.get("promoted") is False
        ):
            return None
        if found is None:
            try:
                with open_server(home) as server:
                    found = server.tags()
            except WorkError as error:
                return str(error)
        held = manifest.metrics
        tag = held["tag"] if manifest.recipe.step == "register" else f"{held['name']}:latest"
        if tag not in found:
            return f"{server_name(home)} does not hold {tag}"
        return (
            None
            if found[tag] == held["digest"]
            else f"{tag} on {server_name(home)} is another model now"
        )

    return reason


def check_reachable() -> None:
    """Raises WorkError if OLLAMA_HOST names a server that does not answer: better known before
    hours of training.
    """
    url = host_url()
    if url and not answers(url):
        raise WorkError(
            f"OLLAMA_HOST names {url} and no Ollama answers there. Start it (`ollama serve`), correct OLLAMA_HOST,"
            " or unset it to let kospilot start a server of its own."
        )


def free_card(name: str) -> None:
    """Unloads the models of this name from OLLAMA_HOST's server, which keeps a model for minutes
    after a question.

    The other servers end with the block that opened them. One that does not answer holds nothing of
    ours.
    """
    url = host_url()
    if url is None or not answers(url):
        return
    with closing(OllamaServer(url, f"ollama {url}")) as server:
        for tag in server.loaded():
            if re.fullmatch(rf"{re.escape(name)}(-s2|-s3|-base)?:.*", tag):
                log.info("%s is unloaded from %s: a training needs the memory", tag, url)
                server.unload(tag)


def _open(home: Path) -> Server:
    if url := host_url():
        check_reachable()
        return OllamaServer(url, f"ollama {url}")
    if ollama := find_ollama(home):
        return _open_private(ollama, home)
    log.warning(
        "No Ollama on this machine (neither OLLAMA_HOST nor on PATH): the embedded server answers instead."
        " `kospilot tools install ollama` brings one."
    )
    return EmbeddedServer(home)


def _open_private(ollama: Ollama, home: Path) -> OllamaServer:
    """Ollama on a free loopback port, with our own models and one slot.

    A starting Ollama removes blobs that no model names yet: were another one of ours just being
    given one, it would be lost. So only the first of them tidies up, and holds the lock while it
    runs.
    """
    folder, url = home / "ollama", f"http://127.0.0.1:{free_port()}"
    folder.mkdir(parents=True, exist_ok=True)
    env = {
        "HOME": str(folder),
        "OLLAMA_HOST": url.removeprefix("http://"),
        "OLLAMA_MODELS": str(folder / "models"),
        "OLLAMA_NUM_PARALLEL": "1",
        "OLLAMA_MAX_LOADED_MODELS": "1",
    }
    alone = FileLock(folder / ".lock")
    try:
        alone.acquire(timeout=0)
    except Timeout:
        env["OLLAMA_NOPRUNE"] = "1"
    log.info("Ollama runs privately at %s; its models are in %s", url, folder / "models")
    try:
        process = start_server(
            [ollama.binary, "serve"], env, home / "logs" / "ollama.log", lambda: answers(url)
        )
    except BaseException:
        alone.release(force=True)
        raise

    def close() -> None:
        stop_child(process)
        alone.release(force=True)

    return OllamaServer(url, "ollama private", close)
