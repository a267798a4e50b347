"""Models on an Ollama server, through its HTTP API, one request at a time: the replies to several
at once are not repeatable.

Ollama says 200 even if it fails, so what was created is read back and compared. It takes a misspelt
parameter without a word, and even shows it, so names are checked before.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tasks.core.chat.template import Messages
from tasks.core.errors import RequestError, WorkError
from tasks.core.files.digests import digest_file
from tasks.core.processes.http import http_client, refusal_of, responds
from tasks.core.records.artifacts import Progress
from tasks.core.serving.modelfile import Modelfile
from tasks.core.serving.tags import full_name

_DEFAULT_PORT = 11434
_USUAL_PORTS = {"http": 80, "https": 443}
_SAMPLING = ("seed", "top_k", "top_p", "min_p", "typical_p", "temperature", "stop")
_PENALTIES = ("repeat_last_n", "repeat_penalty", "presence_penalty", "frequency_penalty")
_RUNNER = (
    "num_ctx",
    "num_batch",
    "num_gpu",
    "main_gpu",
    "use_mmap",
    "num_thread",
    "num_keep",
    "num_predict",
)
_PARAMETERS = frozenset((*_SAMPLING, *_PENALTIES, *_RUNNER))
"""What a Modelfile may set: api.Options and api.Runner of Ollama 0.17."""
_CHUNK = 1 << 20
_TIMEOUT = httpx.Timeout(10.0, read=600.0, write=600.0)
_LOOK = httpx.Timeout(5.0)  # as long as a server may take to say that it is there


class OllamaServer:
    """One Ollama server. `name` is what artifact keys call it."""

    def __init__(self, url: str, name: str, close: Callable[[], None] = lambda: None):
        self.name = name
        self.url = url
        self.openai_url = f"{url}/v1"
        self._stop = close
        self._client = http_client(url, _TIMEOUT)

    def create(self, tag: str, gguf: Path, modelfile: Modelfile, progress: Progress) -> str:
        """Registers a model and returns its digest.

        Raises WorkError if the server then holds anything else, and RequestError if the Modelfile
        sets a parameter that Ollama does not know.
        """
        _check_parameters(modelfile)
        blob = f"sha256:{digest_file(gguf)}"
        self._upload(blob, gguf, progress)
        body = {
            "model": tag,
            "files": {"model.gguf": blob},
            "template": modelfile.template,
            "system": modelfile.system,
            "parameters": modelfile.parameters,
        }
        try:
            for line in self._stream("/api/create", body):
                progress(0.9, str(line.get("status", ""))[:60])
        except WorkError as error:
            size = gguf.stat().st_size / 1e6
            raise WorkError(f"{tag} was not made of {gguf} ({size:.0f} MB). {error}") from None
        differences = self._differences(tag, blob, modelfile)
        if differences:
            self.delete(tag)
            raise WorkError(
                f"Ollama at {self.url} registered {tag} otherwise than asked, and it was removed"
                f" again: {'; '.join(differences)}."
            )
        return self.tags()[tag]

    def tags(self) -> dict[str, str]:
        """Returns the digest of every model on the server, by its full name."""
        models = self._call("GET", "/api/tags").json()["models"]
        return {model["name"]: model["digest"] for model in models}

    def digest(self, tag: str) -> str | None:
        """Returns a model's digest, or None if the server has no such model."""
        return self.tags().get(full_name(tag))

    def context_length(self, tag: str) -> int | None:
        """Returns the context in tokens that the Modelfile sets, or None if it sets none."""
        shown = self._call("POST", "/api/show", {"model": tag}, allowed=(404,)).json()
        return read_parameters(shown.get("parameters") or "").get("num_ctx")

    def render(self, tag: str, messages: Messages) -> str:
        """Returns the prompt text that the model would get for a conversation."""
        body = {"model": tag, "messages": messages, "stream": False, "_debug_render_only": True}
        answer = self._call("POST", "/api/chat", body).json()
        if "_debug_info" not in answer:
            raise WorkError(
                f"Ollama at {self.url} does not show the prompts it makes, so they cannot be proven"
                " right. Update it."
            )
        return answer["_debug_info"]["rendered_template"]

    def count_tokens(self, tag: str, messages: Messages) -> int:
        """Returns the number of the prompt's tokens as the server counts them, a BOS of its own
        included.
        """
        body = {"model": tag, "messages": messages, "stream": False, "options": {"num_predict": 1}}
        return self._call("POST", "/api/chat", body).json()["prompt_eval_count"]

    def copy(self, source: str, target: str) -> None:
        """Gives a model a second name; the digest stays."""
        self._call("POST", "/api/copy", {"source": source, "destination": target})

    def loaded(self) -> list[str]:
        """Returns the full names of the models that are in memory now."""
        return [model["name"] for model in self._call("GET", "/api/ps").json()["models"]]

    def unload(self, tag: str) -> None:
        """Frees the memory that a model holds; nothing happens if it is not loaded.

        The next question loads it again.
        """
        self._call("POST", "/api/generate", {"model": tag, "keep_alive": 0}, allowed=(404,))

    def delete(self, tag: str) -> None:
        """Removes a name, and the weights if no other name needs them. Nothing happens if it is not
        there.
        """
        self._call("DELETE", "/api/delete", {"model": tag}, allowed=(404,))

    def close(self) -> None:
        """Closes the connections, and ends the server if it is ours."""
        self._client.close()
        self._stop()

    def _upload(self, blob: str, gguf: Path, progress: Progress) -> None:
        """Sends the weights unless the server has them."""
        path = f"/api/blobs/{blob}"
        if self._call("HEAD", path, allowed=(404,)).status_code != 200:
            self._call("POST", path, _chunks(gguf, progress))

    def _differences(self, tag: str, blob: str, modelfile: Modelfile) -> list[str]:
        """In what the model that the server shows differs from the one that was asked for."""
        shown = self._call("POST", "/api/show", {"model": tag}).json()
        differences = []
        for part, wanted in (("template", modelfile.template), ("system", modelfile.system)):
            actual = shown.get(part, "")
            if actual != wanted:
                differences.append(f"its {part} is {_short(actual)}, not {_short(wanted)}")
        parameters = read_parameters(shown.get("parameters", ""))
        for name in sorted(modelfile.parameters.keys() | parameters.keys()):
            value, wanted_value = parameters.get(name), modelfile.parameters.get(name)
            if value != wanted_value:
                differences.append(f"its parameter {name} is {value}, not {wanted_value}")
        if blob.replace(":", "-") not in shown.get("modelfile", ""):
            differences.append(f"it is not made from {blob[:19]}…")
        return differences

    def _stream(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Lines of a streamed answer; an error among them is raised, whatever the status said."""
        request = {**body, "stream": True}
        with _explained(self.url), self._client.stream("POST", path, json=request) as answer:
            if answer.is_error:
                answer.read()
                raise self._failure(path, answer)
            for text in answer.iter_lines():
                line = json.loads(text) if text.strip() else {}
                if "error" in line:
                    raise self._refusal(path, line["error"])
                yield line

    def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | Iterator[bytes] | None = None,
        allowed: tuple[int, ...] = (),
    ) -> httpx.Response:
        """The answer to a request with JSON or with bytes; an error is raised unless allowed."""
        with _explained(self.url):
            if isinstance(body, dict):
                answer = self._client.request(method, path, json=body)
            else:
                answer = self._client.request(method, path, content=body)
        if answer.is_error and answer.status_code not in allowed:
            raise self._failure(path, answer)
        return answer

    def _failure(self, path: str, answer: httpx.Response) -> WorkError:
        return self._refusal(f"{path} with HTTP {answer.status_code}", refusal_of(answer))

    def _refusal(self, path: str, message: str) -> WorkError:
        return WorkError(f"Ollama at {self.url} refused {path}: {message}{_remedy(message)}")


def host_url() -> str | None:
    """Returns the server that OLLAMA_HOST names, read as Ollama's own programs read it, or None if
    it is not set.
    """
    named = os.environ.get("OLLAMA_HOST", "").strip().strip("\"'")
    if not named:
        return None
    if "://" in named:
        parts = urlsplit(named)
        usual_port = _USUAL_PORTS[parts.scheme]
    else:
        parts = urlsplit(f"http://{named}")
        usual_port = _DEFAULT_PORT
    host = parts.hostname or "127.0.0.1"
    if host in ("0.0.0.0", "::"):  # what a server listens on is no address to call
        host = "127.0.0.1"
    if ":" in host:
        host = f"[{host}]"
    return f"{parts.scheme}://{host}:{parts.port or usual_port}"


def answers(url: str) -> bool:
    """Whether an Ollama server answers at this address."""
    return responds(f"{url}/api/version")


def version_at(url: str) -> str:
    """Returns the version of the Ollama server at this address, or "unknown" if none answers."""
    try:
        with http_client(url, _LOOK) as client:
            return str(client.get("/api/version").json()["version"])
    except (httpx.TransportError, ValueError, KeyError, TypeError):
        return "unknown"


def read_parameters(text: str) -> dict[str, Any]:
    """Reads parameters as /api/show lists them: `name   value`, one line for each value.

    `stop` is a list, because it may have several values.
    """
    parameters: dict[str, Any] = {}
    for line in text.splitlines():
        name, _, written = line.partition(" ")
        value = _parse(written)
        if name == "stop":
            parameters.setdefault(name, []).append(value)
        else:
            parameters[name] = value
    return parameters


def _parse(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value.strip()


def _check_parameters(modelfile: Modelfile) -> None:
    unknown = sorted(modelfile.parameters.keys() - _PARAMETERS)
    if unknown:
        known = ", ".join(sorted(_PARAMETERS))
        raise RequestError(f"Ollama knows no parameter {', '.join(unknown)}. Known: {known}.")


def _chunks(file: Path, progress: Progress) -> Iterator[bytes]:
    """The file's bytes; the upload of all of them is four fifths of a registration."""
    total = file.stat().st_size
    sent = 0
    with file.open("rb") as reader:
        while chunk := reader.read(_CHUNK):
            yield chunk
            sent += len(chunk)
            progress(0.8 * sent / total, f"{sent / 1e6:.0f} / {total / 1e6:.0f} MB uploaded")


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turns a broken connection into what the user can do about it."""
    try:
        yield
    except httpx.TransportError as error:
        raise WorkError(
            f"Ollama at {url} does not answer ({type(error).__name__}: {error}). Start it with"
            " `ollama serve` and run the same command again, or unset OLLAMA_HOST to let kospilot"
            " start a server of its own."
        ) from None


def _remedy(message: str) -> str:
    if "no space left" in message.lower():
        return ". Free some space where Ollama keeps its models and run the same command again."
    return ""


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}…")
