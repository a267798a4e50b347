"""Renders chat templates in a process of its own, which has little time and memory.

    python -m tasks.core.chat.jinja_program   answers a line of JSON with a line of JSON

A request is {"source": the template, "values": what it is rendered with, or null to look only
whether it is Jinja}; an answer is {"text": …} or {"refused": why}. A template is a program that
came with somebody's model: Jinja's sandbox keeps it from files and from Python, but not from
looping for ever or from writing 10 GB.
"""

import json
import resource
import signal
import sys
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Template, nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tasks.core.chat.limits import LONGEST_TEXT, MEMORY_BYTES, SECONDS


def main() -> None:
    """Answers requests until there are no more.

    The kernel ends the process, by SIGPROF, when a request has taken its seconds of computing.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        answer = json.dumps(_answer(**json.loads(line)))
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(answer, flush=True)


def _answer(source: str, values: dict[str, Any] | None) -> dict[str, str]:
    try:
        template = _compiled(source)
        text = "" if values is None else template.render(values)
    except MemoryError:
        return {"refused": f"it needs more than {MEMORY_BYTES / 1e9:.0f} GB of memory"}
    except RecursionError:
        return {"refused": "it calls itself without an end"}
    except (TemplateError, TypeError) as error:
        return {"refused": str(error)}
    except Exception as error:  # whatever a program may raise, it is the template's fault
        return {"refused": f"{type(error).__name__}: {error}"}
    if len(text) > LONGEST_TEXT:
        return {"refused": f"it writes {len(text):,} characters; {LONGEST_TEXT:,} may be"}
    return {"text": text}


@lru_cache(maxsize=64)
def _compiled(source: str) -> Template:
    return _environment().from_string(source)


def _environment() -> ImmutableSandboxedEnvironment:
    """Jinja with what transformers lets chat templates use besides Jinja itself."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationMarks, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _strftime_now
    return environment


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own filter escapes HTML characters, which the tokenizer's does not."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)


class _GenerationMarks(Extension):
    """Lets {% generation %} … {% endgeneration %} through, with which templates mark the
    assistant's tokens for training.
    """

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


if __name__ == "__main__":
    main()
