"""Asks a model over the OpenAI-style /v1/chat/completions.

ask_all reads and appends to a JSONL of replies, so that a killed evaluation asks nothing twice.
"""

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

from tasks.core.errors import RequestError
from tasks.core.evaluation.completions import complete, too_long
from tasks.core.evaluation.endpoint import Endpoint
from tasks.core.evaluation.records import Question, Reply
from tasks.core.files.digests import digest_value
from tasks.core.files.json_files import append_line, read_whole_objects, write_lines
from tasks.core.records.artifacts import Progress

__all__ = ["Endpoint", "Options", "ask", "ask_all"]


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
    at_once: int = 1  # requests of ask_all; several at once change greedy replies on most servers


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
    reply = complete(endpoint, body, options.timeout_s)
    context = endpoint.context_length
    if context and reply.prompt_tokens >= context:
        raise RequestError(too_long(endpoint.model, f"{context} tokens"))
    return reply


def ask_all(
    endpoint: Endpoint,
    questions: list[Question],
    out_file: Path,
    progress: Progress,
    options: Options | None = None,
) -> list[Reply]:
    """Returns the replies in the order of the questions.

    Each reply is a line of `out_file` once it is there. A later call goes on with the questions
    that have none, as long as the server still holds the same model and the question reads the
    same.
    """
    options = options or Options()
    keys = [_key(endpoint, question) for question in questions]
    by_key = dict(zip(keys, questions, strict=True))
    replies = kept_replies(out_file, endpoint, questions)
    missing = {key: question for key, question in by_key.items() if key not in replies}
    if missing:
        endpoint.check_same()
        _load_model(endpoint, options)
    for key, reply in _ask_each(endpoint, missing, options):
        endpoint.check_same()  # before its reply is kept
        replies[key] = reply
        named = {"key": key, "id": by_key[key].id, "model": endpoint.model}
        line = {**named, **asdict(reply)}
        append_line(out_file, {**line, "sha256": digest_value(line)})
        done = len(replies)
        progress(done / len(by_key), f"{done} / {len(by_key)} questions")
    return [replies[key] for key in keys]


def kept_replies(file: Path, endpoint: Endpoint, questions: list[Question]) -> dict[str, Reply]:
    """Returns the replies of an interrupted attempt, by key. Lines torn by a kill, those whose
    content changed since, and those of other questions leave the file.
    """
    keys = {_key(endpoint, question) for question in questions}
    lines = []
    replies = {}
    for line in read_whole_objects(file):
        rest = {name: value for name, value in line.items() if name != "sha256"}
        if line.get("key") in keys and line.get("sha256") == digest_value(rest):
            lines.append(line)
            values = {field.name: line[field.name] for field in fields(Reply)}
            replies[line["key"]] = Reply(**values)
    write_lines(file, lines)
    return replies


def all_kept(file: Path, endpoint: Endpoint, questions: list[Question]) -> bool:
    """Whether every question has its reply already, so that the model need not be there."""
    kept = kept_replies(file, endpoint, questions)
    return all(_key(endpoint, question) in kept for question in questions)


def _key(endpoint: Endpoint, question: Question) -> str:
    """Names a reply by the model and by all that the model is asked."""
    identity = endpoint.digest or endpoint.model
    return digest_value([identity, question.messages, question.schema])


def _load_model(endpoint: Endpoint, options: Options) -> None:
    """Asks for one token, so that loading the model is not the first question's latency."""
    ask(endpoint, [{"role": "user", "content": "1"}], options=replace(options, max_tokens=1))


def _ask_each(
    endpoint: Endpoint, questions: dict[str, Question], options: Options
) -> Iterator[tuple[str, Reply]]:
    """Yields each question's key and reply as they come, `options.at_once` asked at a time.

    If a request fails, those under way are still waited for and yielded before the error is raised:
    they are paid for.
    """

    def ask_one(question: Question) -> Reply:
        limited = replace(options, max_tokens=question.max_tokens)
        return ask(endpoint, question.messages, question.schema, limited)

    if options.at_once == 1:
        for key, question in questions.items():
            yield key, ask_one(question)
        return
    # The longest first: one of them would otherwise be answered alone, at the end.
    longest_first = sorted(questions.items(), key=lambda item: -item[1].max_tokens)
    waiting = iter(longest_first)
    asked: dict[Future[Reply], str] = {}
    failure: BaseException | None = None
    with ThreadPoolExecutor(options.at_once) as pool:
        while True:
            free = 0 if failure else options.at_once - len(asked)
            for key, question in islice(waiting, free):
                asked[pool.submit(ask_one, question)] = key
            if not asked:
                break
            for future in wait(asked, return_when=FIRST_COMPLETED).done:
                key = asked.pop(future)
                failure = failure or future.exception()
                if future.exception() is None:
                    yield key, future.result()
    if failure:
        raise failure


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
