"""Requests to an Ollama server, and what its refusals mean to the user.

Ollama says 200 even if it fails: the error is then a line of the streamed answer. What listens at
the address may also be no Ollama at all, too old a one, or one that hangs.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tasks.core.errors import WorkError
from tasks.core.processes.http import http_client, refusal_of

OLDEST = "0.11.10"
"""The oldest Ollama whose source is known to show the prompts that it makes."""
PROVEN = "0.17.4"
"""The version that kospilot is tested with, and that `kospilot tools install ollama` builds."""

_LOOK = httpx.Timeout(5.0)  # as long as a server may take to say that it is there
_QUICK = httpx.Timeout(10.0, read=60.0)
_PATIENT = httpx.Timeout(10.0, read=600.0, write=600.0)
_LONG = ("/api/blobs/", "/api/create", "/api/chat", "/api/generate")
"""What may take minutes before it answers: weights are digested, or loaded."""
_BUSY = (429, 503)
_OTHERWISE = "unset OLLAMA_HOST to let kospilot start a server of its own"

Body = dict[str, Any] | Iterator[bytes] | None


class OllamaApi:
    """The requests that one server answers; each raises WorkError if it is refused."""

    def __init__(self, url: str):
        self.url = url
        self._client = http_client(url, _PATIENT)

    def call(
        self, method: str, path: str, body: Body = None, allowed: tuple[int, ...] = ()
    ) -> httpx.Response:
        """Returns the answer to a request with JSON or with bytes; refusals whose status is allowed
        are answers too.
        """
        timeout = _PATIENT if path.startswith(_LONG) else _QUICK
        with self._explained(path):
            if isinstance(body, dict):
                answer = self._client.request(method, path, json=body, timeout=timeout)
            else:
                answer = self._client.request(method, path, content=body, timeout=timeout)
        if answer.is_error and answer.status_code not in allowed:
            raise self._failure(path, answer)
        return answer

    def json(
        self, method: str, path: str, body: Body = None, allowed: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        """Returns the answer's JSON object."""
        return self._object(path, self.call(method, path, body, allowed))

    def stream(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yields the lines of a streamed answer; an error among them is raised, whatever the status
        said.
        """
        request = {**body, "stream": True}
        with self._explained(path), self._client.stream("POST", path, json=request) as answer:
            if answer.is_error:
                answer.read()
                raise self._failure(path, answer)
            for text in answer.iter_lines():
                line = json.loads(text) if text.strip() else {}
                if "error" in line:
                    raise self._refusal(path, line["error"])
                yield line

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _object(self, path: str, answer: httpx.Response) -> dict[str, Any]:
        try:
            value = answer.json()
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise self._no_ollama(path, answer)
        return value

    def _failure(self, path: str, answer: httpx.Response) -> WorkError:
        if "html" in answer.headers.get("content-type", ""):
            return self._no_ollama(path, answer)
        refusal = self._refusal(f"{path} with HTTP {answer.status_code}", refusal_of(answer))
        if answer.status_code not in _BUSY:
            return refusal
        wait = answer.headers.get("retry-after", "")
        seconds = f"{wait} s" if wait.isdecimal() else "a minute"
        return WorkError(f"{refusal} It is busy: wait {seconds} and run the same command again.")

    def _refusal(self, path: str, message: str) -> WorkError:
        return WorkError(f"Ollama at {self.url} refused {path}: {message}{_remedy(message)}")

    def _no_ollama(self, path: str, answer: httpx.Response) -> WorkError:
        return WorkError(
            f"{self.url} answered {path} with {_beginning(answer)} where Ollama answers JSON: it is"
            f" something else, or a proxy stands before it. Correct OLLAMA_HOST, or {_OTHERWISE}."
        )

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        """Turns a broken connection into what the user can do about it."""
        try:
            yield
        except (httpx.ReadTimeout, httpx.WriteTimeout):
            seconds = _PATIENT.read if path.startswith(_LONG) else _QUICK.read
            raise WorkError(
                f"Ollama at {self.url} took the request {path} and said nothing for"
                f" {seconds:g} s: it hangs or the machine is overloaded. Start it again and run"
                f" the same command again, or {_OTHERWISE}."
            ) from None
        except httpx.TransportError as error:
            raise WorkError(
                f"Ollama at {self.url} does not answer ({type(error).__name__}: {error}). Start it"
                f" with `ollama serve` and run the same command again, or {_OTHERWISE}."
            ) from None
        except json.JSONDecodeError as error:
            raise WorkError(
                f"{self.url} answered {path} with {error.doc[:80]!r} where Ollama answers JSON: it"
                f" is something else. Correct OLLAMA_HOST, or {_OTHERWISE}."
            ) from None


def version_at(url: str) -> str:
    """Returns the version of the Ollama server at this address, or "unknown" if none answers."""
    try:
        with http_client(url, _LOOK) as client:
            return str(client.get("/api/version").json()["version"])
    except (httpx.TransportError, ValueError, KeyError, TypeError):
        return "unknown"


def answers(url: str) -> bool:
    """Whether an Ollama server answers at this address."""
    return version_at(url) != "unknown"


def refuse_old(url: str) -> None:
    """Raises WorkError if the server at this address lacks what kospilot needs.

    A build that names no version calls itself 0.0.0, and is taken.
    """
    version = version_at(url)
    numbers = _numbers(version)
    if any(numbers) and numbers < _numbers(OLDEST):
        raise WorkError(
            f"Ollama at {url} is version {version}, and kospilot needs {OLDEST} or newer, which"
            f" shows the prompts that it makes. Update it (https://ollama.com/download), or"
            f" {_OTHERWISE}: `kospilot tools install ollama` brings {PROVEN}."
        )


def _numbers(version: str) -> tuple[int, ...]:
    """0.30.0-rc1 is (0, 30, 0); a version without numbers is ()."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _beginning(answer: httpx.Response) -> str:
    kind = answer.headers.get("content-type", "").partition(";")[0] or "no content type"
    return f"HTTP {answer.status_code}, {kind}, {answer.text[:60]!r}"


def _remedy(message: str) -> str:
    said = message.lower()
    if "no space left" in said or "file too large" in said or "quota exceeded" in said:
        return ". Free some space where Ollama keeps its models and run the same command again."
    if "not found" in said and "model" in said:
        return ". It was removed meanwhile: run the same command again, which registers it again."
    return ""
