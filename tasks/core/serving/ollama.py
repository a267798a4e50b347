"""Models on an Ollama server, through its HTTP API. One request at a time: several at once are not
repeatable.

Ollama says 200 even where it fails, so what was created is read back and compared. It takes a
misspelt parameter without a word and even shows it, so names are checked before.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tasks.core.errors import RequestError, WorkError
from tasks.core.files.digests import digest_file
from tasks.core.records.artifacts import Progress
from tasks.core.serving.modelfile import Messages, Modelfile

_DEFAULT_PORT = 11434
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


class OllamaServer:
    """One Ollama server. `name` is what artifact keys call it."""

    def __init__(self, url: str, name: str, close: Callable[[], None] = lambda: None):
        self.name = name
        self.url = url
        self.openai_url = f"{url}/v1"
        self._stop = close
        loopback = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
        self._client = httpx.Client(base_url=url, timeout=_TIMEOUT, trust_env=not loopback)

    def create(self, tag: str, gguf: Path, modelfile: Modelfile, progress: Progress) -> str:
        """Registers a model and returns its digest. Raises WorkError if the server then holds
        anything else.
        """
        unknown = sorted(modelfile.parameters.keys() - _PARAMETERS)
        if unknown:
            raise RequestError(
                f"Ollama knows no parameter {', '.join(unknown)}. Known: {', '.join(sorted(_PARAMETERS))}."
            )
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
            raise WorkError(
                f"{tag} was not made of {gguf} ({gguf.stat().st_size / 1e6:.0f} MB). {error}"
            ) from None
        differences = self._differences(tag, blob, modelfile)
        if differences:
            self.delete(tag)
            raise WorkError(
                f"Ollama at {self.url} registered {tag} otherwise than asked, and it was removed again: "
                + "; ".join(differences)
                + "."
            )
        return self.tags()[tag]

    def tags(self) -> dict[str, str]:
        """Digest of every model on the server, by its full name."""
        models = self._call("GET", "/api/tags").json()["models"]
        return {model["name"]: model["digest"] for model in models}

    def digest(self, tag: str) -> str | None:
        return self.tags().get(tag if ":" in tag else f"{tag}:latest")

    def render(self, tag: str, messages: Messages) -> str:
        """The prompt text that the model would get for a conversation."""
        body = {"model": tag, "messages": messages, "stream": False, "_debug_render_only": True}
        told = self._call("POST", "/api/chat", body).json()
        if "_debug_info" not in told:
            raise WorkError(
                f"Ollama at {self.url} does not show the prompts it makes, so they cannot be proven right. Update it."
            )
        return told["_debug_info"]["rendered_template"]

    def count_tokens(self, tag: str, messages: Messages) -> int:
        """Tokens of the prompt as the server counts them, a BOS of its own included."""
        body = {"model": tag, "messages": messages, "stream": False, "options": {"num_predict": 1}}
        return self._call("POST", "/api/chat", body).json()["prompt_eval_count"]

    def copy(self, source: str, target: str) -> None:
        """Gives a model a second name; the digest stays."""
        self._call("POST", "/api/copy", {"source": source, "destination": target})

    def delete(self, tag: str) -> None:
        """Removes a name, and the weights when no other name needs them. Nothing happens if it is
        not there.
        """
        self._call("DELETE", "/api/delete", {"model": tag}, allowed=(404,))

    def loaded(self) -> list[str]:
        """The models in memory now, by full name."""
        return [model["name"] for model in self._call("GET", "/api/ps").json()["models"]]

    def unload(self, tag: str) -> None:
        """Frees the memory that a loaded model holds."""
        self._call("POST", "/api/generate", {"model": tag, "keep_alive": 0}, allowed=(404,))

    def close(self) -> None:
        self._client.close()
        self._stop()

    def _upload(self, blob: str, gguf: Path, progress: Progress) -> None:
        if self._call("HEAD", f"/api/blobs/{blob}", allowed=(404,)).status_code == 200:
            return
        total = gguf.stat().st_size

        def read() -> Iterator[bytes]:
            done = 0
            with gguf.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
                    done += len(chunk)
                    progress(
                        0.8 * done / total, f"{done / 1e6:.0f} / {total / 1e6:.0f} MB uploaded"
                    )

        self._call("POST", f"/api/blobs/{blob}", read())

    def _differences(self, tag: str, blob: str, modelfile: Modelfile) -> list[str]:
        """What /api/show says against what was asked."""
        shown = self._call("POST", "/api/show", {"model": tag}).json()
        found = []
        for part in ("template", "system"):
            if shown.get(part, "") != getattr(modelfile, part):
                found.append(
                    f"its {part} is {_short(shown.get(part, ''))}, not {_short(getattr(modelfile, part))}"
                )
        asked, told = dict(modelfile.parameters), read_parameters(shown.get("parameters", ""))
        for name in sorted(asked.keys() | told.keys()):
            if asked.get(name) != told.get(name):
                found.append(f"its parameter {name} is {told.get(name)}, not {asked.get(name)}")
        if blob.replace(":", "-") not in shown.get("modelfile", ""):
            found.append(f"it is not made from {blob[:19]}…")
        return found

    def _stream(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Lines of a streamed answer; an error among them is raised, whatever the status said."""
        with (
            _explained(self.url),
            self._client.stream("POST", path, json={**body, "stream": True}) as answer,
        ):
            if answer.is_error:
                answer.read()
                raise self._refusal(path, answer)
            for text in answer.iter_lines():
                line = json.loads(text) if text.strip() else {}
                if "error" in line:
                    raise WorkError(
                        f"Ollama at {self.url} refused {path}: {line['error']}{_remedy(line['error'])}"
                    )
                yield line

    def _call(
        self, method: str, path: str, body: Any = None, allowed: tuple[int, ...] = ()
    ) -> httpx.Response:
        sent = {"json": body} if isinstance(body, dict) else {"content": body}
        with _explained(self.url):
            answer = self._client.request(method, path, **sent)
        if answer.is_error and answer.status_code not in allowed:
            raise self._refusal(path, answer)
        return answer

    def _refusal(self, path: str, answer: httpx.Response) -> WorkError:
        try:
            said = str(answer.json()["error"])
        except (ValueError, KeyError, TypeError):
            said = f"status {answer.status_code} {answer.text[:200]}"
        return WorkError(f"Ollama at {self.url} refused {path}: {said}{_remedy(said)}")


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turns a broken connection into what the user can do about it."""
    try:
        yield
    except httpx.TransportError as error:
        raise WorkError(
            f"Ollama at {url} does not answer ({type(error).__name__}: {error}). Start it with `ollama serve` and run"
            " the same command again, or unset OLLAMA_HOST to let kospilot start a server of its own."
        ) from None


def host_url() -> str | None:
    """The server that OLLAMA_HOST names, read as Ollama's own programs read it; None if it is not
    set.
    """
    named = os.environ.get("OLLAMA_HOST", "").strip().strip("\"'")
    if not named:
        return None
    parts = urlsplit(named if "://" in named else f"http://{named}")
    usual = {"http": 80, "https": 443}[parts.scheme] if "://" in named else _DEFAULT_PORT
    host = parts.hostname or "127.0.0.1"
    host = (
        "127.0.0.1" if host in ("0.0.0.0", "::") else host
    )  # what a server listens on is no address to call
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{parts.port or usual}"


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/version", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def read_parameters(text: str) -> dict[str, Any]:
    """Parameters as /api/show lists them: `name   value`, a line for each of a parameter's values."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        try:
            value = json.loads(value)
        except ValueError:
            value = value.strip()
        if name == "stop":
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}…")


def _remedy(said: str) -> str:
    if "no space left" in said.lower():
        return ". Free some space where Ollama keeps its models and run the same command again."
    return ""
