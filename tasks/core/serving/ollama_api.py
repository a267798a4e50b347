"""Requests to an Ollama server, and what its refusals mean to the user.

Ollama says 200 even if it fails: the error is then a line of the streamed answer. What listens at
the address may also be no Ollama at all, too old a one, or one that hangs.
"""

import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError

from tasks.core.errors import WorkError
from tasks.core.processes.http import (
    Limits,
    fetch,
    http_client,
    one_line,
    read_object,
    refusal_of,
    refuse_packed,
    upload,
    within,
)
from tasks.core.serving.ollama_replies import Reply, Tags, Version

OLDEST = "0.11.10"
"""The oldest Ollama whose source is known to show the prompts that it makes."""
PROVEN = "0.17.4"
"""The version that kospilot is tested with, and that `kospilot tools install ollama` builds."""

_LOOK_S = 5.0  # as long as a server may take to say that it is there
_QUICK_S = 10.0  # for what is answered at once
_SLOW_S = 60.0  # for what writes to a disk
_PATIENT_S = 600.0
_SLOW = ("/api/copy", "/api/delete")
_LONG = ("/api/create", "/api/chat", "/api/generate")
"""What may take minutes before it answers: weights are read, or loaded."""
_UPLOADED = Limits(24 * 3600.0)  # a whole upload; each part of it may take _PATIENT_S
_LONGEST_LINE = 1 << 20  # bytes of a line of a streamed answer
_BUSY = (429, 503)
_OTHERWISE = "unset OLLAMA_HOST to let kospilot start a server of its own"

R = TypeVar("R", bound=Reply)


class OllamaApi:
    """The requests that one server answers; each raises WorkError if it is refused."""

    def __init__(self, url: str):
        self.url = url
        self._client = http_client(url, httpx.Timeout(_PATIENT_S, connect=_QUICK_S))

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        allowed: tuple[int, ...] = (),
    ) -> httpx.Response:
        """Returns the answer to a request with JSON; refusals whose status is allowed are answers
        too.
        """
        with self._explained(path):
            answer = fetch(self._client, method, path, Limits(_patience(path)), json=body)
        if not answer.is_success and answer.status_code not in allowed:
            raise self._failure(path, answer)
        return answer

    def read(
        self,
        kind: type[R],
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        allowed: tuple[int, ...] = (),
    ) -> R:
        """Returns the answer's JSON object as this kind of reply, which is empty if it was refused
        with an allowed status.
        """
        answer = self.call(method, path, body, allowed)
        if not answer.is_success:
            return kind()
        value = read_object(answer.content)
        if value is None:
            raise self._no_ollama(path, _beginning(answer))
        try:
            return kind.model_validate(value)
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in wrong["loc"])
            raise self._no_ollama(path, f"{place}: {wrong['msg']}") from None

    def stream(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yields the lines of a streamed answer; an error among them is raised, whatever the status
        said.
        """
        request = self._client.build_request("POST", path, json={**body, "stream": True})
        deadline = time.monotonic() + _patience(path)
        with self._explained(path), closing(self._open(path, request)) as answer:
            refuse_packed(answer)
            for text in _lines(answer):
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer does not end")
                if not answer.is_success:
                    told = httpx.Response(answer.status_code, headers=answer.headers, content=text)
                    raise self._failure(path, told)
                line = read_object(text)
                if line is None:
                    raise self._no_ollama(path, repr(text[:80].decode(errors="replace")))
                if "error" in line:
                    raise self._refusal(path, one_line(str(line["error"])))
                yield line

    def upload(self, path: str, content: Iterator[bytes]) -> None:
        """Sends bytes."""
        with self._explained(path, _PATIENT_S):
            answer = upload(self._client, path, content, _UPLOADED)
        if not answer.is_success:
            raise self._failure(path, answer)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _open(self, path: str, request: httpx.Request) -> httpx.Response:
        """Returns an answer of which only the headers are there yet."""
        return within(_patience(path), lambda: self._client.send(request, stream=True))

    def _failure(self, path: str, answer: httpx.Response) -> WorkError:
        is_page = "html" in answer.headers.get("content-type", "")
        if is_page or answer.status_code < 400:
            return self._no_ollama(path, _beginning(answer))
        refusal = self._refusal(f"{path} with HTTP {answer.status_code}", refusal_of(answer))
        if answer.status_code not in _BUSY:
            return refusal
        wait = answer.headers.get("retry-after", "")
        seconds = f"{wait[:9]} s" if wait.isdecimal() else "a minute"
        return WorkError(f"{refusal} It is busy: wait {seconds} and run the same command again.")

    def _refusal(self, path: str, message: str) -> WorkError:
        return WorkError(f"Ollama at {self.url} refused {path}: {message}{_remedy(message)}")

    def _no_ollama(self, path: str, said: str) -> WorkError:
        return WorkError(
            f"{self.url} answered {path} otherwise than Ollama does ({said}): it is something else,"
            f" or a proxy stands before it. Correct OLLAMA_HOST, or {_OTHERWISE}."
        )

    @contextmanager
    def _explained(self, path: str, patience_s: float | None = None) -> Iterator[None]:
        """Turns a broken connection into what the user can do about it."""
        try:
            yield
        except (httpx.ReadTimeout, httpx.WriteTimeout):
            raise WorkError(
                f"Ollama at {self.url} took the request {path} and did not answer within"
                f" {patience_s or _patience(path):g} s: it hangs or the machine is overloaded."
                f" Start it again and run the same command again, or {_OTHERWISE}."
            ) from None
        except httpx.TransportError as error:
            raise WorkError(
                f"Ollama at {self.url} does not answer ({type(error).__name__}: {error}). Start it"
                f" with `ollama serve` and run the same command again, or {_OTHERWISE}."
            ) from None
        except httpx.DecodingError as error:
            raise self._no_ollama(path, f"it {error}") from None


def _patience(path: str) -> float:
    """Seconds that a whole answer may take."""
    if path.startswith(_LONG):
        return _PATIENT_S
    return _SLOW_S if path in _SLOW else _QUICK_S


def _lines(answer: httpx.Response) -> Iterator[bytes]:
    """Yields an answer's lines as they come. Raises httpx.DecodingError if one does not end."""
    rest = b""
    for chunk in answer.iter_raw():
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(bytes.strip, lines)
        if len(rest) > _LONGEST_LINE:
            raise httpx.DecodingError(f"sent a line of more than {_LONGEST_LINE >> 20} MiB")
    if rest.strip():
        yield rest


def version_at(url: str) -> str:
    """Returns the version of the Ollama server at this address, or "unknown" if none answers."""
    try:
        with http_client(url, httpx.Timeout(_LOOK_S)) as client:
            answer = fetch(client, "GET", "/api/version", Limits(_LOOK_S))
        return one_line(Version.model_validate(read_object(answer.content)).version) or "unknown"
    except (httpx.TransportError, httpx.DecodingError, ValidationError):
        return "unknown"


def answers(url: str) -> bool:
    """Whether an Ollama server answers at this address."""
    return version_at(url) != "unknown"


def refuse_others(url: str) -> None:
    """Raises WorkError if nothing answers at this address, or what answers is no Ollama; other
    programs tell a version at the same path, but no models.
    """
    with closing(OllamaApi(url)) as api:
        api.read(Version, "GET", "/api/version")
        api.read(Tags, "GET", "/api/tags")


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
    kind = one_line(answer.headers.get("content-type", "")).partition(";")[0] or "no content type"
    return f"HTTP {answer.status_code}, {kind}, {answer.text[:60]!r}"


def _remedy(message: str) -> str:
    said = message.lower()
    if "no space left" in said or "file too large" in said or "quota exceeded" in said:
        return ". Free some space where Ollama keeps its models and run the same command again."
    if "not found" in said and "model" in said:
        return ". It was removed meanwhile: run the same command again, which registers it again."
    return ""
