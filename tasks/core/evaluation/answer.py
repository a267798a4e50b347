"""Asks a model over the OpenAI-style /v1/chat/completions, one question at a time.

Reads a server's replies; ask_all also reads and appends to a JSONL of replies, so that a killed
evaluation asks nothing twice.
"""

import json
import logging
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import httpx

from tasks.core.errors import RequestError, WorkError
from tasks.core.evaluation.records import Question, Reply
from tasks.core.files.digests import digest_value
from tasks.core.files.json_files import append_line, read_whole_objects, write_lines
from tasks.core.processes.http import http_client, refusal_of
from tasks.core.records.artifacts import Progress
from tasks.core.records.servers import AskedServer

log = logging.getLogger(__name__)

PAUSES_S = (0.5, 2.0)
"""Waits before a second and a third attempt, if the connection failed."""


@dataclass(frozen=True)
class Endpoint:
    """A model behind an OpenAI-style API. Its address and name are enough to ask it."""

    url: str  # the server's, with or without /v1
    model: str
    digest: str | None = None  # tells two models of one name apart; None if the server does not say
    context_length: int | None = None  # tokens; None if the server does not say

    @classmethod
    def of(cls, server: AskedServer, tag: str) -> "Endpoint":
        """Returns the endpoint of a model on a server that tells what it holds."""
        return cls(server.openai_url, tag, server.digest(tag), server.context_length(tag))


@dataclass(frozen=True)
class Options:
    """How a reply is drawn. Temperature 0 and one seed make it repeatable on a server with one
    slot.

    None leaves a value to the model's own parameters, and a seed to chance.
    """

    temperature: float | None = 0.0
    seed: int | None = 42
    max_tokens: int | None = None
    timeout_s: float = 600.0


def ask(
    endpoint: Endpoint,
    messages: list[dict[str, str]],
    schema: dict[str, Any] | None = None,
    options: Options | None = None,
) -> Reply:
    """Returns the model's reply to a chat; with a schema the server lets it write nothing else.

    Raises WorkError if the server is gone or failed, RequestError if it does not know the model or
    the prompt does not fit the model's context (Ollama would cut it without a word).
    """
    options = options or Options()
    body = _request(endpoint.model, messages, schema, options)
    start = time.perf_counter()
    response = _post(_v1(endpoint.url) + "/chat/completions", body, options.timeout_s)
    completion = _completion(response, endpoint.model)
    reply = _reply(completion, endpoint.url, time.perf_counter() - start)
    context = endpoint.context_length
    if context and reply.prompt_tokens >= context:
        raise RequestError(_too_long(endpoint.model, f"{context} tokens"))
    return reply


def ask_all(
    endpoint: Endpoint,
    questions: list[Question],
    out_file: Path,
    progress: Progress,
    options: Options | None = None,
) -> list[Reply]:
    """Returns the replies in the order of the questions, asked one at a time: several requests at
    once change greedy replies.

    Each reply is a line of `out_file` once it is there. A later call goes on after the last whole
    line, as long as the server still holds the same model and the question reads the same.
    """
    options = options or Options()
    keys = [_key(endpoint, question) for question in questions]
    replies = _kept_replies(out_file, set(keys))
    if set(keys) - set(replies):
        _load_model(endpoint, options)
    for number, (key, question) in enumerate(zip(keys, questions, strict=True), 1):
        if key not in replies:
            limited = replace(options, max_tokens=question.max_tokens)
            replies[key] = ask(endpoint, question.messages, question.schema, limited)
            line = {"key": key, "id": question.id, "model": endpoint.model}
            append_line(out_file, {**line, **asdict(replies[key])})
        progress(number / len(questions), f"{number} / {len(questions)} questions")
    return [replies[key] for key in keys]


def _key(endpoint: Endpoint, question: Question) -> str:
    """Names a reply by the model and by all that the model is asked."""
    identity = endpoint.digest or endpoint.model
    return digest_value([identity, question.messages, question.schema])


def _load_model(endpoint: Endpoint, options: Options) -> None:
    """Asks for one token, so that loading the model is not the first question's latency."""
    ask(endpoint, [{"role": "user", "content": "1"}], options=replace(options, max_tokens=1))


def _kept_replies(file: Path, keys: set[str]) -> dict[str, Reply]:
    """Returns the replies of an interrupted attempt, by key. Lines torn by a kill, and those of
    other questions, leave the file.
    """
    lines = []
    replies = {}
    for line in read_whole_objects(file):
        if line.get("key") in keys:
            lines.append(line)
            values = {field.name: line[field.name] for field in fields(Reply)}
            replies[line["key"]] = Reply(**values)
    write_lines(file, lines)
    return replies


def _request(
    model: str, messages: list[dict[str, str]], schema: dict[str, Any] | None, options: Options
) -> dict[str, Any]:
    """Returns the body of a request for a chat completion."""
    body: dict[str, Any] = {"model": model, "messages": messages, "stream": False}
    for name in ("temperature", "seed", "max_tokens"):
        value = getattr(options, name)
        if value is not None:
            body[name] = value
    if schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": True},
        }
    return body


def _post(url: str, body: dict[str, Any], timeout_s: float) -> httpx.Response:
    """Sends a request, again only if the connection failed: a slow or refusing server would do the
    same again.
    """
    pauses = list(PAUSES_S)
    while True:
        try:
            with http_client(url, httpx.Timeout(timeout_s, connect=10.0)) as client:
                return client.post(url, json=body)
        except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
            raise WorkError(
                f"The model server at {url} took more than {timeout_s:.0f} s for one reply. Is the"
                " machine busy with other work? The same command goes on from here."
            ) from error
        except httpx.TransportError as error:
            if not pauses:
                raise WorkError(
                    f"The model server at {url} does not answer ({_reason(error)}). Start it"
                    " again, or unset OLLAMA_HOST and kospilot starts its own; the same command"
                    " goes on from here."
                ) from error
            log.warning("no connection to %s (%s), trying again", url, _reason(error))
            time.sleep(pauses.pop(0))


def _v1(url: str) -> str:
    return url.rstrip("/").removesuffix("/v1") + "/v1"


def _completion(response: httpx.Response, model: str) -> Any:
    """Returns the response's JSON, or raises the server's refusal as an error of ours."""
    if response.is_success:
        return _json(response)
    message = refusal_of(response)
    if response.status_code == 404:
        raise RequestError(f"The server at {response.url} has no model {model!r} ({message}).")
    if "context" in message and ("exceed" in message or "too long" in message):
        raise RequestError(_too_long(model, message))
    raise WorkError(
        f"The model server at {response.url} failed with HTTP {response.status_code}: {message}"
    )


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise WorkError(
            f"The server at {response.url} sent no JSON: {response.text[:200]!r}."
        ) from error


def _reply(completion: Any, url: str, latency_s: float) -> Reply:
    try:
        choice = completion["choices"][0]
        usage = completion["usage"]
        return Reply(
            text=(choice["message"].get("content") or "").strip(),
            latency_s=round(latency_s, 3),
            prompt_tokens=usage["prompt_tokens"],
            completion_tokens=usage["completion_tokens"],
            finish_reason=choice.get("finish_reason") or "",
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise WorkError(
            f"The server at {url} did not answer as an OpenAI-style endpoint:"
            f" {json.dumps(completion)[:200]}. Check the address; it should serve"
            " /v1/chat/completions."
        ) from error


def _too_long(model: str, detail: str) -> str:
    return (
        f"The prompt does not fit the context of {model!r} ({detail}), and a cut prompt would be"
        " answered wrongly. Ask less, or register the model with a larger release.num_ctx."
    )


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
