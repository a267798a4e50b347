"""One chat completion over HTTP: sent, waited for and read, and every failure as an error that says
what to do.

A server may be anybody's. It may answer a web page, nothing, or too much, or ask for patience.
"""

import email.utils
import logging
import time
from datetime import UTC, datetime
from typing import Any

import httpx

from tasks.core.errors import RequestError, WorkError, did_you_mean
from tasks.core.evaluation.endpoint import Endpoint
from tasks.core.evaluation.records import Reply
from tasks.core.processes.http import Limits, fetch, http_client, one_line, read_object, refusal_of

log = logging.getLogger(__name__)

PAUSES_S = (0.5, 2.0)
"""Waits before a second and a third attempt, if the connection failed."""

BUSY = (429, 503, 529)
"""What servers answer that have too much to do just now; 529 is Anthropic's."""

WAITS_S = (2.0, 5.0, 10.0, 20.0, 40.0)
"""Waits for a busy server that does not say how long, so a minute and a quarter in all."""

LONGEST_WAIT_S = 120.0
"""A server that wants to be left alone for longer is better asked another time."""

MOST_BYTES = 16 << 20
"""More than any completion has: what does not end must not fill the memory."""


def complete(endpoint: Endpoint, body: dict[str, Any], timeout_s: float) -> Reply:
    """Returns the reply to one request.

    Raises WorkError if the server is gone, slow or failed, RequestError if it knows neither the
    model nor the key.
    """
    start = time.perf_counter()
    response = _post(endpoint, body, timeout_s)
    if not response.is_success:
        raise _refusal(endpoint, response)
    return _reply(response, endpoint, time.perf_counter() - start)


def _post(endpoint: Endpoint, body: dict[str, Any], timeout_s: float) -> httpx.Response:
    """Sends a request, again if the connection failed or the server is busy: any other answer
    would be the same again.
    """
    pauses, waits = list(PAUSES_S), list(WAITS_S)
    while True:
        try:
            response = _send(endpoint, body, timeout_s)
        except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
            raise WorkError(
                f"The model server at {endpoint.url} took more than {timeout_s:.0f} s for one"
                " reply. Is it busy with other work? The same command goes on from here."
            ) from error
        except httpx.TransportError as error:
            if not pauses:
                raise _unreachable(endpoint, error) from error
            log.warning("no connection to %s (%s), trying again", endpoint.url, _reason(error))
            time.sleep(pauses.pop(0))
            continue
        if response.status_code not in BUSY or not waits:
            return response
        _wait_for_busy(endpoint, response, waits.pop(0))


def _send(endpoint: Endpoint, body: dict[str, Any], timeout_s: float) -> httpx.Response:
    """Returns the whole response. Raises ReadTimeout if it is not there in time: a server that
    sends a byte now and then would hold us for ever.
    """
    url = endpoint.path("chat/completions")
    limits = Limits(timeout_s, MOST_BYTES)
    try:
        with http_client(url, httpx.Timeout(timeout_s, connect=10.0)) as client:
            return fetch(client, "POST", url, limits, json=body, headers=endpoint.headers)
    except httpx.DecodingError as error:
        raise WorkError(
            f"The server at {endpoint.url} {error} for one reply. Check the address; it should"
            " serve /v1/chat/completions."
        ) from None


def _wait_for_busy(endpoint: Endpoint, response: httpx.Response, wait_s: float) -> None:
    """Waits as long as the server asks for, else `wait_s`. Raises WorkError if it asks for more
    than LONGEST_WAIT_S.
    """
    asked_s = _retry_after_s(response.headers.get("retry-after", ""))
    if asked_s is not None:
        wait_s = asked_s
    if wait_s > LONGEST_WAIT_S:
        raise WorkError(
            f"The server at {endpoint.url} limits how often it is asked, and wants to be left alone"
            f" for {wait_s:.0f} s. The same command goes on from here, then."
        )
    log.warning("%s is busy (HTTP %d), waiting %.0f s", endpoint.url, response.status_code, wait_s)
    time.sleep(wait_s)


def _retry_after_s(value: str) -> float | None:
    """Reads a Retry-After header, which has seconds or a date; None if it has neither."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        then = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - datetime.now(UTC)).total_seconds())


def _unreachable(endpoint: Endpoint, error: Exception) -> WorkError:
    if endpoint.key_variable is None:
        remedy = "Start it again, or unset OLLAMA_HOST and kospilot starts its own"
    else:
        remedy = "Check the address and whether the server runs"
    return WorkError(
        f"The model server at {endpoint.url} does not answer ({_reason(error)}). {remedy}; the"
        " same command goes on from here."
    )


def _refusal(endpoint: Endpoint, response: httpx.Response) -> Exception:
    """Returns the server's refusal as an error of ours."""
    message = _readable(endpoint, refusal_of(response))
    status = response.status_code
    if response.is_redirect:
        location = _readable(endpoint, response.headers.get("location", "another address"))
        return RequestError(
            f"The server at {endpoint.url} sends to {location}. Give that address, /v1 included."
        )
    if status in (401, 403) and endpoint.key_variable:
        return RequestError(_key_remedy(endpoint, endpoint.key_variable, message))
    if _is_page(response):
        return RequestError(_no_json(endpoint, response))
    if status == 404:
        return RequestError(_no_model(endpoint, message))
    if "context" in message and ("exceed" in message or "too long" in message):
        return RequestError(too_long(endpoint.model, message))
    if status in BUSY:
        return WorkError(
            f"The server at {endpoint.url} stays busy (HTTP {status}: {message}), however often it"
            " is asked. The same command goes on from here."
        )
    return WorkError(f"The model server at {endpoint.url} failed with HTTP {status}: {message}")


def _key_remedy(endpoint: Endpoint, variable: str, message: str) -> str:
    if endpoint.key:
        return (
            f"The server at {endpoint.url} does not accept the key in {variable} ({message})."
            " Correct it, or name another variable with --key-from."
        )
    if not endpoint.sends_key:
        return (
            f"The server at {endpoint.url} asks for a key ({message}), and no key is sent over"
            " plain http, where others can read it. Give an https address."
        )
    return (
        f"The server at {endpoint.url} asks for a key ({message}), and {variable} is not set. Set"
        " it, or name the variable that holds the key with --key-from."
    )


def _no_model(endpoint: Endpoint, message: str) -> str:
    there = models_at(endpoint)
    named = f" There are: {', '.join(there)}." if there else ""
    return (
        f"The server at {endpoint.url} has no model {endpoint.model!r} ({message})."
        f"{did_you_mean(endpoint.model, there)}{named}"
    )


def models_at(endpoint: Endpoint) -> list[str]:
    """Returns the models that a server says it has, twenty at most; none if it does not say."""
    url = endpoint.path("models")
    try:
        with http_client(url, httpx.Timeout(5.0)) as client:
            told = fetch(client, "GET", url, Limits(5.0), headers=endpoint.headers)
        names = [str(model["id"]) for model in (read_object(told.content) or {})["data"]]
    except (httpx.HTTPError, LookupError, TypeError):
        return []
    return [_readable(endpoint, name) for name in sorted(names)[:20]]


def _json(endpoint: Endpoint, response: httpx.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError) as error:
        raise WorkError(_no_json(endpoint, response)) from error


def _no_json(endpoint: Endpoint, response: httpx.Response) -> str:
    what = (
        "a web page" if _is_page(response) else f"no JSON: {_readable(endpoint, response.text)!r}"
    )
    return (
        f"The server at {endpoint.path('chat/completions')} sent {what}. Check the address; it"
        " should serve /v1/chat/completions."
    )


def _is_page(response: httpx.Response) -> bool:
    is_html = "html" in response.headers.get("content-type", "")
    return is_html or response.text[:200].lstrip().lower().startswith(("<!doctype", "<html"))


def _reply(response: httpx.Response, endpoint: Endpoint, latency_s: float) -> Reply:
    """Reads a completion. Some servers leave out how many tokens there were: they count as 0."""
    completion = _json(endpoint, response)
    try:
        choice = completion["choices"][0]
        usage = completion.get("usage") or {}
        text = choice["message"].get("content") or ""
        return Reply(
            text=_storable(text).strip(),
            latency_s=round(latency_s, 3),
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
            finish_reason=str(choice.get("finish_reason") or ""),
        )
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
        told = _readable(endpoint, response.text)
        raise WorkError(
            f"The server at {endpoint.url} did not answer as an OpenAI-style endpoint: {told}."
            " Check the address; it should serve /v1/chat/completions."
        ) from error


def _storable(text: str) -> str:
    """Replaces halves of surrogate pairs, which JSON may hold and no file can."""
    return text.encode("utf-8", "replace").decode()


def _readable(endpoint: Endpoint, text: str) -> str:
    """The beginning of a foreign text on one line, without the key and without control characters,
    which a terminal would obey.
    """
    return one_line(endpoint.without_key(text))[:200]


def too_long(model: str, detail: str) -> str:
    """Says that a prompt does not fit, and what helps."""
    return (
        f"The prompt does not fit the context of {model!r} ({detail}), and a cut prompt would be"
        " answered wrongly. Ask less, or register the model with a larger release.num_ctx."
    )


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
