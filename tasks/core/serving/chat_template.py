"""A tokenizer's own chat template, rendered as training renders it but without the training
libraries.

Reads tokenizer_config.json and chat_template.jinja of a tokenizer's folder.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tasks.core.errors import RequestError
from tasks.core.files.json_files import read_json

Messages = list[dict[str, str]]
"""A conversation: {"role": "system" | "user" | "assistant", "content": text} in order."""


def render_training_prompt(tokenizer_dir: Path, messages: Messages) -> str:
    """Returns the prompt text of a conversation, up to where the assistant begins to write.

    Raises RequestError if the folder has no chat template.
    """
    special_tokens = {}
    for name, value in _config(tokenizer_dir).items():
        if name.endswith("_token"):
            special_tokens[name] = _token_text(value)
    template = _environment().from_string(_source(tokenizer_dir))
    return template.render(
        messages=messages, tools=None, documents=None, add_generation_prompt=True, **special_tokens
    )


def bos_token(tokenizer_dir: Path) -> str:
    """Returns the token that a tokenizer may put before a text; empty if it has none."""
    return _token_text(_config(tokenizer_dir).get("bos_token"))


def _source(tokenizer_dir: Path) -> str:
    """The template's text, from a file of its own or from the tokenizer's configuration."""
    file = tokenizer_dir / "chat_template.jinja"
    if file.is_file():
        template: Any = file.read_text(encoding="utf-8")
    else:
        template = _config(tokenizer_dir).get("chat_template")
    if isinstance(template, list):
        template = _default_of(template)
    if not template:
        raise RequestError(
            f"{tokenizer_dir} has no chat template, neither chat_template.jinja nor in"
            " tokenizer_config.json."
        )
    return template


def _default_of(templates: list[dict[str, str]]) -> str | None:
    """The template that is used if none is asked for; a tokenizer may have several, by name."""
    for template in templates:
        if template["name"] == "default":
            return template["template"]
    return None


def _config(tokenizer_dir: Path) -> dict[str, Any]:
    file = tokenizer_dir / "tokenizer_config.json"
    if not file.is_file():
        raise RequestError(
            f"{tokenizer_dir} has no tokenizer_config.json: it is not a tokenizer's folder."
        )
    return read_json(file)


def _token_text(value: Any) -> str:
    """A special token's text: a configuration has the text itself, a record with it, or null."""
    text = value["content"] if isinstance(value, dict) else value
    return text or ""


def _environment() -> ImmutableSandboxedEnvironment:
    """Jinja with what chat templates may use besides Jinja itself."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationMarks, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _strftime_now
    return environment


def _to_json(value: Any, indent: int | None = None) -> str:
    """Jinja's own filter escapes HTML characters, which the tokenizer's does not."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


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
