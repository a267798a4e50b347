"""The server that is always there: llama.cpp inside a child process, for machines without Ollama.

Writes the models that it is given to KOSPILOT_HOME/serving. The process, embedded_endpoint, starts
with the first question.
"""

import sys
import tempfile
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx

from tasks.core.chat.template import Messages
from tasks.core.errors import WorkError
from tasks.core.files.scratch import scratch_folder
from tasks.core.processes.child import stop_child
from tasks.core.processes.http import http_client, refusal_of, responds
from tasks.core.processes.reporting import QUIET_WAITS
from tasks.core.processes.server import Program, free_port, log_tail, start_server
from tasks.core.records.artifacts import Progress
from tasks.core.serving import embedded_registry as registry
from tasks.core.serving.modelfile import Modelfile
from tasks.core.serving.weights import tell_damage

_TIMEOUT = httpx.Timeout(10.0, read=600.0)
_LONGEST_TEMP = 60
"""A socket's whole path may have 107 characters (Linux' sun_path), on macOS 103."""


class EmbeddedServer:
    """A model server with the same methods as an Ollama server, see servers.Server."""

    name = "embedded"

    def __init__(self, home: Path):
        self._folder = home / "serving"
        self._log_file = home / "logs" / "embedded.log"
        self._process: Popen[str] | None = None
        self._sockets: tempfile.TemporaryDirectory[str] | None = None
        self._url = ""

    @property
    def openai_url(self) -> str:
        """The endpoint's address; asking for it starts the process."""
        return f"{self._running_url()}/v1"

    def create(self, tag: str, gguf: Path, modelfile: Modelfile, progress: Progress) -> str:
        """Registers a model and returns its digest."""
        progress(0.0, f"registering {tag}")
        return registry.put(self._folder, tag, gguf, modelfile).digest

    def tags(self) -> dict[str, str]:
        """Returns the digest of every registered model whose weights are whole, by full name."""
        return {entry.tag: entry.digest for entry in registry.entries(self._folder)}

    def digest(self, tag: str) -> str | None:
        """Returns a model's digest, or None if there is no such model or it is not whole; the
        latter is said with the file.
        """
        problem = registry.problem_of(self._folder, tag)
        if problem:
            tell_damage(tag, problem)
        entry = registry.get(self._folder, tag)
        return entry.digest if entry else None

    def problem(self, tag: str) -> str | None:
        """What is wrong with a registered model's weights; None if they are whole."""
        return registry.problem_of(self._folder, tag)

    def context_length(self, tag: str) -> int | None:
        """Returns None: llama.cpp rounds a Modelfile's num_ctx up, and it refuses a prompt that is
        too long instead of cutting it.
        """
        return None

    def at_once(self, tag: str) -> int:
        """Returns the model's copies: each answers one request at a time, and all alike."""
        entry = registry.get(self._folder, tag)
        return entry.copies if entry else 1

    def render(self, tag: str, messages: Messages) -> str:
        """Returns the prompt text that the model would get for a conversation."""
        return self._post("/apply-template", {"model": tag, "messages": messages})["prompt"]

    def count_tokens(self, tag: str, messages: Messages) -> int:
        """Returns the number of the prompt's tokens as the server counts them."""
        body = {"model": tag, "messages": messages, "max_tokens": 1}
        return self._post("/v1/chat/completions", body)["usage"]["prompt_tokens"]

    def copy(self, source: str, target: str) -> None:
        """Gives a model a second name; the digest stays."""
        entry = registry.get(self._folder, source)
        if entry is None:
            raise WorkError(f"There is no model {source!r} on the embedded server.")
        registry.copy(self._folder, entry, target)

    def unload(self, tag: str) -> None:
        """Frees the memory that a model holds; nothing happens if it is not loaded.

        The next question loads it again.
        """
        if self._process and registry.get(self._folder, tag):
            self._post("/unload", {"model": tag})

    def delete(self, tag: str) -> None:
        """Removes a name, and the weights if no other name needs them. Nothing happens if it is not
        there.
        """
        registry.delete(self._folder, tag)

    def close(self) -> None:
        """Ends the process, and removes its socket's folder."""
        if self._process:
            stop_child(self._process)
            self._process = None
        if self._sockets:
            self._sockets.cleanup()
            self._sockets = None

    def _running_url(self) -> str:
        """The process's address; starts the process if it does not run."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._sockets = _folder_of_sockets()
            port = str(free_port())
            self._url = f"http://127.0.0.1:{port}"
            endpoint = [sys.executable, "-m", "tasks.core.serving.embedded_endpoint"]
            command: list[str | Path] = [*endpoint, self._folder, port, self._sockets.name]
            program = Program(command, QUIET_WAITS)
            self._process = start_server(program, self._log_file, self._answers)
        return self._url

    def _answers(self) -> bool:
        return responds(f"{self._url}/health")

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        url = self._running_url()
        try:
            with http_client(url, _TIMEOUT) as client:
                answer = client.post(path, json=body)
        except httpx.TransportError as error:
            raise WorkError(
                f"The embedded server ended ({error}). {log_tail(self._log_file)}"
            ) from None
        if answer.is_error:
            raise WorkError(
                f"The embedded server refused {path} for {body.get('model')}: {refusal_of(answer)}"
            )
        return answer.json()


def _folder_of_sockets() -> tempfile.TemporaryDirectory[str]:
    """A folder that is this user's alone; however the process ends, we remove it."""
    place = "/tmp" if len(tempfile.gettempdir()) > _LONGEST_TEMP else None
    return scratch_folder(place)
