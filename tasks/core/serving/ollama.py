"""Models on an Ollama server, through its HTTP API, one request at a time: the replies to several
at once are not repeatable.

Ollama says 200 even if it fails, so what was created is read back and compared. It takes a misspelt
parameter without a word, and even shows it, so names are checked before.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tasks.core.chat.template import Messages
from tasks.core.errors import RequestError, WorkError
from tasks.core.files.digests import digest_file
from tasks.core.processes.http import one_line
from tasks.core.records.artifacts import Progress
from tasks.core.serving.modelfile import Modelfile
from tasks.core.serving.ollama_api import PROVEN, OllamaApi, version_at
from tasks.core.serving.ollama_replies import Counted, Loaded, Rendered, Running, Shown, Tags
from tasks.core.serving.tags import find, same_name
from tasks.core.serving.weights import OllamaFiles, tell_damage

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


class OllamaServer:
    """One Ollama server. `name` is what artifact keys call it; `files` is what it keeps on this
    machine, None if that is elsewhere.
    """

    def __init__(
        self,
        url: str,
        name: str,
        close: Callable[[], None] = lambda: None,
        files: OllamaFiles | None = None,
    ):
        self.name = name
        self.url = url
        self.openai_url = f"{url}/v1"
        self._stop = close
        self._files = files
        self._api = OllamaApi(url)

    def create(self, tag: str, gguf: Path, modelfile: Modelfile, progress: Progress) -> str:
        """Registers a model and returns its digest.

        Raises WorkError if the server then holds anything else, which is removed again, and
        RequestError if the Modelfile sets a parameter that Ollama does not know.
        """
        _check_parameters(modelfile)
        sha256 = digest_file(gguf)
        if self._files:
            self._files.make_room(sha256)
        blob = f"sha256:{sha256}"
        self._upload(blob, gguf, progress)
        try:
            self._make(tag, blob, modelfile, progress)
            return self._read_back(tag, blob, modelfile)
        except WorkError as error:
            with suppress(WorkError):  # the server may be gone
                self.delete(tag)
            size = gguf.stat().st_size / 1e6
            raise WorkError(f"{tag} was not made of {gguf} ({size:.0f} MB). {error}") from None

    def tags(self) -> dict[str, str]:
        """Returns the digest of every model on the server, by its full name."""
        models = self._api.read(Tags, "GET", "/api/tags").models or []
        return {model.name: model.digest for model in models}

    def digest(self, tag: str) -> str | None:
        """Returns a model's digest, or None if the server has no such model, or none that is whole:
        that is said with the file.
        """
        digest = find(self.tags(), tag)
        damaged = self._files.find_damaged(tag) if digest and self._files else None
        if damaged:
            tell_damage(tag, f"the content of {damaged} changed or is gone")
            return None
        return digest

    def context_length(self, tag: str) -> int | None:
        """Returns the context in tokens that the Modelfile sets, or None if it sets none; what a
        loaded model was given, if that is less.
        """
        shown = self._api.read(Shown, "POST", "/api/show", {"model": tag}, allowed=(404,))
        wanted = read_parameters(shown.parameters or "").get("num_ctx")
        if not isinstance(wanted, int):
            return None
        return min(wanted, self._loaded_context(tag) or wanted)

    def at_once(self, tag: str) -> int:
        """Returns 1: in a batch with others a greedy reply is sometimes another one."""
        return 1

    def render(self, tag: str, messages: Messages) -> str:
        """Returns the prompt text that the model would get for a conversation."""
        body = {"model": tag, "messages": messages, "stream": False, "_debug_render_only": True}
        answer = self._api.read(Rendered, "POST", "/api/chat", body)
        if answer.debug is None:
            raise WorkError(
                f"Ollama {version_at(self.url)} at {self.url} does not show the prompts it makes,"
                " so they cannot be proven right. Name one that does in OLLAMA_HOST;"
                f" {PROVEN} does."
            )
        return answer.debug.rendered_template

    def count_tokens(self, tag: str, messages: Messages) -> int:
        """Returns the number of the prompt's tokens as the server counts them, a BOS of its own
        included.
        """
        body = {"model": tag, "messages": messages, "stream": False, "options": {"num_predict": 1}}
        return self._api.read(Counted, "POST", "/api/chat", body).prompt_eval_count

    def copy(self, source: str, target: str) -> None:
        """Gives a model a second name; the digest stays."""
        self._api.call("POST", "/api/copy", {"source": source, "destination": target})

    def loaded(self) -> list[str]:
        """Returns the full names of the models that are in memory now."""
        return [model.name for model in self._running()]

    def unload(self, tag: str) -> None:
        """Frees the memory that a model holds; nothing happens if it is not loaded.

        The next question loads it again.
        """
        self._api.call("POST", "/api/generate", {"model": tag, "keep_alive": 0}, allowed=(404,))

    def delete(self, tag: str) -> None:
        """Removes a name, and the weights if no other name needs them. Nothing happens if it is not
        there.
        """
        self._api.call("DELETE", "/api/delete", {"model": tag}, allowed=(404,))

    def close(self) -> None:
        """Closes the connections, and ends the server if it is ours."""
        self._api.close()
        self._stop()

    def _upload(self, blob: str, gguf: Path, progress: Progress) -> None:
        """Sends the weights unless the server has them."""
        path = f"/api/blobs/{blob}"
        if self._api.call("HEAD", path, allowed=(404,)).status_code != 200:
            self._api.upload(path, _chunks(gguf, progress))

    def _make(self, tag: str, blob: str, modelfile: Modelfile, progress: Progress) -> None:
        """Makes a model of weights that the server has."""
        body = {
            "model": tag,
            "files": {"model.gguf": blob},
            "template": modelfile.template,
            "system": modelfile.system,
            "parameters": modelfile.parameters,
        }
        for line in self._api.stream("/api/create", body):
            progress(0.9, one_line(str(line.get("status", "")))[:60])

    def _read_back(self, tag: str, blob: str, modelfile: Modelfile) -> str:
        """Returns the model's digest. Raises WorkError if it is not what was asked for."""
        shown = self._api.read(Shown, "POST", "/api/show", {"model": tag})
        for part, own in (("renderer", shown.renderer), ("parser", shown.parser)):
            if own:
                raise WorkError(
                    f"Ollama {version_at(self.url)} at {self.url} puts a {part} of its own,"
                    f" {_short(own)}, in the place of the template, so the model would be asked"
                    " otherwise than it was trained. Name an Ollama that keeps the template in"
                    f" OLLAMA_HOST; {PROVEN} does."
                )
        differences = _differences(shown, blob, modelfile)
        if differences:
            raise WorkError(
                f"Ollama at {self.url} registered it otherwise than asked, and it was removed"
                f" again: {'; '.join(differences)}."
            )
        digest = self.digest(tag)
        if digest is None:
            raise WorkError("It was removed meanwhile: run the same command again.")
        return digest

    def _loaded_context(self, tag: str) -> int | None:
        """The context that a loaded model was given, in tokens."""
        for model in self._running():
            if same_name(model.name, tag):
                return model.context_length
        return None

    def _running(self) -> list[Loaded]:
        return self._api.read(Running, "GET", "/api/ps", allowed=(404,)).models or []


def _differences(shown: Shown, blob: str, modelfile: Modelfile) -> list[str]:
    """In what the model that the server shows differs from the one that was asked for."""
    differences = []
    template, system = shown.template or "", shown.system or ""
    if template != modelfile.template:
        differences.append(f"its template is {_short(template)}, not {_short(modelfile.template)}")
    if system != modelfile.system:
        differences.append(f"its system is {_short(system)}, not {_short(modelfile.system)}")
    parameters = read_parameters(shown.parameters or "")
    for name in sorted(modelfile.parameters.keys() | parameters.keys()):
        value, wanted_value = parameters.get(name), modelfile.parameters.get(name)
        if value != wanted_value:
            differences.append(f"its parameter {name} is {value}, not {wanted_value}")
    if blob.replace(":", "-") not in (shown.modelfile or ""):
        differences.append(f"it is not made from {blob[:19]}…")
    return differences


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


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}…")
