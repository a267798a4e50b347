"""Asks a model over the OpenAI-style /v1/chat/completions, one question at a time.

Reads a server's replies; ask_all also reads and appends to a JSONL of replies, so that a killed
evaluation asks nothing twice.
"""

import json
import logging
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tasks.core.errors import RequestError, WorkError
from tasks.core.evaluation.questions import Question
from tasks.core.files.digests import digest_value
from tasks.core.records.artifacts import Progress

log = logging.getLogger(__name__)

PAUSES_S = (0.5, 2.0)
"""Waits before a second and a third attempt, when the connection failed."""


@dataclass(frozen=True)
class Options:
    """How a reply is drawn. Temperature 0 and one seed make it repeatable on a server with one
    slot.

    None leaves a value to the model's own parameters, a seed to chance.
    """

    temperature: float | None = 0.0
    seed: int | None = 42
    max_tokens: int | None = None
    timeout_s: float = 600.0
    context: int | None = None  # tokens; None asks the server where it can tell


@dataclass(frozen=True)
class Reply:
    """One reply as it came; `text` is stripped, because a grammar lets a model fill the end with
    white space.
    """

    text: str
    latency_s: float  # from sending the request to the whole reply
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str  # stop, or length where max_tokens cut it


def ask(
    url: str,
    model: str,
    messages: list[dict[str, str]],
    schema: dict | None = None,
    options: Options | None = None,
) -> Reply:
    """The model's reply to a chat; with a schema the server lets it write nothing else.

    `url` is the server's, with or without /v1. Raises WorkError where the server is gone or failed,
    RequestError where it does not know the model or the prompt does not fit its context (Ollama
    would cut it without a word).
    """
    options = options or Options()
    body: dict[str, Any] = {"model": model, "messages": messages, "stream": False}
    drawn = {
        "temperature": options.temperature,
        "seed": options.seed,
        "max_tokens": options.max_tokens,
    }
    body |= {name: value for name, value in drawn.items() if value is not None}
    if schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": True},
        }
    start = time.perf_counter()
    told = _told(_post(_v1(url) + "/chat/completions", body, options.timeout_s), model)
    reply = _reply(told, url, time.perf_counter() - start)
    context = options.context or context_length(url, model)
    if context and reply.prompt_tokens >= context:
        raise RequestError(_too_long(model, f"{context} tokens"))
    return reply


def ask_all(
    url: str,
    model: str,
    questions: list[Question],
    out_file: Path,
    progress: Progress,
    options: Options | None = None,
) -> list[Reply]:
    """The replies in the order of the questions, one request at a time: several at once change
    greedy replies.

    Each reply is a line of `out_file` once it is there. A later call goes on after the last whole
    line, as long as the server still holds the same model and the question reads the same.
    """
    identity = model_identity(url, model)
    keys = [digest_value([identity, question.messages, question.schema]) for question in questions]
    done = _kept(out_file, set(keys))
    options = replace(options or Options(), context=context_length(url, model))
    if set(keys) - set(done):
        # Loading the model is not the first question's latency.
        ask(url, model, [{"role": "user", "content": "1"}], options=replace(options, max_tokens=1))
    with out_file.open("a", encoding="utf-8") as file:
        for number, (key, question) in enumerate(zip(keys, questions, strict=True)):
            if key not in done:
                limited = replace(options, max_tokens=question.max_tokens)
                done[key] = ask(url, model, question.messages, question.schema, limited)
                line = {"key": key, "id": question.id, "model": model, **asdict(done[key])}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
            progress((number + 1) / len(questions), f"{number + 1} / {len(questions)} questions")
    return [done[key] for key in keys]


def context_length(url: str, model: str) -> int | None:
    """The context in tokens that Ollama's Modelfile gives the model; None where the server does not
    say.

    llama.cpp's server does not say, but refuses a prompt that is too long; Ollama cuts it.
    """
    parameters = _ollama(url, "POST", "/api/show", {"model": model}).get("parameters") or ""
    for line in parameters.splitlines():
        name, _, value = line.strip().partition(" ")
        if name == "num_ctx":
            return int(value)
    return None


def model_identity(url: str, model: str) -> str:
    """The model's digest where the server tells one (Ollama does), else its name."""
    for entry in _ollama(url, "GET", "/api/tags").get("models") or []:
        if model in (entry.get("name"), entry.get("name", "").removesuffix(":latest")):
            return entry.get("digest") or model
    return model


def _kept(file: Path, keys: set[str]) -> dict[str, Reply]:
    """The replies of an interrupted attempt, by key. Lines torn by a kill or of other questions
    leave the file.
    """
    if not file.exists():
        return {}
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [row for row in map(_row, lines) if row and row.get("key") in keys]
    neighbour = file.with_name(f".{file.name}.{os.getpid()}")
    neighbour.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    os.replace(neighbour, file)
    fields = Reply.__dataclass_fields__
    return {row["key"]: Reply(**{name: row[name] for name in fields}) for row in rows}


def _row(line: str) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _post(url: str, body: dict[str, Any], timeout_s: float) -> httpx.Response:
    """Retries only a connection that failed: a slow or refusing server would do the same again."""
    for pause in (*PAUSES_S, None):
        try:
            with _client(url, timeout_s) as client:
                return client.post(url, json=body)
        except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
            raise WorkError(
                f"The model server at {url} took more than {timeout_s:.0f} s for one reply. Is the machine busy with "
                "other work? The same command goes on from here."
            ) from error
        except httpx.TransportError as error:
            if pause is None:
                raise WorkError(
                    f"The model server at {url} does not answer ({_reason(error)}). Start it again, or unset "
                    "OLLAMA_HOST and kospilot starts its own; the same command goes on from here."
                ) from error
            log.warning("no connection to %s (%s), trying again", url, _reason(error))
            time.sleep(pause)
    raise AssertionError("every attempt returns or raises")


def _told(response: httpx.Response, model: str) -> dict[str, Any]:
    """The response's JSON, or the server's refusal as an error of ours."""
    if response.is_success:
        return _json(response)
    message = _server_message(response)
    if response.status_code == 404:
        raise RequestError(f"The server at {response.url} has no model {model!r} ({message}).")
    if "context" in message and ("exceed" in message or "too long" in message):
        raise RequestError(_too_long(model, message))
    raise WorkError(
        f"The model server at {response.url} failed with HTTP {response.status_code}: {message}"
    )


def _reply(told: dict[str, Any], url: str, latency_s: float) -> Reply:
    try:
        choice, usage = told["choices"][0], told["usage"]
        return Reply(
            text=(choice["message"].get("content") or "").strip(),
            latency_s=round(latency_s, 3),
            prompt_tokens=usage["prompt_tokens"],
            completion_tokens=usage["completion_tokens"],
            finish_reason=choice.get("finish_reason") or "",
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise WorkError(
            f"The server at {url} did not answer as an OpenAI-style endpoint: {json.dumps(told)[:200]}. Check the "
            "address; it should serve /v1/chat/completions."
        ) from error


def _ollama(url: str, method: str, path: str, body: dict | None = None) -> dict[str, Any]:
    """What Ollama's own API says; empty on a server that has none, or that is gone (asking will
    tell).
    """
    root = _v1(url).removesuffix("/v1")
    try:
        with _client(url, 30.0) as client:
            response = client.request(method, root + path, json=body)
        found = response.json() if response.is_success else {}
    except (httpx.TransportError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _client(url: str, timeout_s: float) -> httpx.Client:
    # A proxy from the environment must not stand between us and this machine.
    local = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
    return httpx.Client(timeout=httpx.Timeout(timeout_s, connect=10.0), trust_env=not local)


def _v1(url: str) -> str:
    return url.rstrip("/").removesuffix("/v1") + "/v1"


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        return response.json()
    except ValueError as error:
        raise WorkError(
            f"The server at {response.url} sent no JSON: {response.text[:200]!r}."
        ) from error


def _server_message(response: httpx.Response) -> str:
    try:
        error = response.json()["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return response.text[:300] or response.reason_phrase


def _too_long(model: str, detail: str) -> str:
    return (
        f"The prompt does not fit the context of {model!r} ({detail}), and a cut prompt would be answered wrongly. "
        "Ask less, or register the model with a larger release.num_ctx."
    )


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
