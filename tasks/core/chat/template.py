"""A tokenizer's own chat template, rendered as training renders it but without the training
libraries.

Reads tokenizer_config.json and chat_template.jinja of a tokenizer's folder.
"""

import json
from collections.abc import Mapping, Sequence
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

_EXCERPT = 80  # characters of a conversation in an error


class ChatTemplate:
    """The template of a tokenizer's folder.

    Raises RequestError if the folder has no tokenizer_config.json or no chat template, or one that
    is not Jinja.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        config = _read_config(folder)
        self._special_tokens = _special_tokens(config)
        self.source = source = _find_source(folder, config)
        """The template itself, in Jinja."""
        self.states_today = "strftime_now" in source
        """Whether what it renders may depend on the day."""
        try:
            self._template = _environment().from_string(source)
        except TemplateError as error:
            raise RequestError(f"The chat template of {folder} is not Jinja: {error}.") from error

    @property
    def bos_token(self) -> str:
        """The token that the tokenizer may put before a text; empty if it has none."""
        return self._special_tokens.get("bos_token", "")

    @property
    def eos_token(self) -> str:
        """The token that ends an answer; empty if the tokenizer names none."""
        return self._special_tokens.get("eos_token", "")

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        add_generation_prompt: bool,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        """Returns a conversation's text, with the prompt up to where the assistant begins to write
        if it is to be added.

        tools: functions that the model may call, as OpenAI's API describes them. Raises
        RequestError if the template refuses the conversation.
        """
        try:
            return self._template.render(
                messages=messages,
                tools=list(tools) or None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                **self._special_tokens,
            )
        except (TemplateError, TypeError) as error:
            start = str(messages)[:_EXCERPT]
            raise RequestError(
                f"The chat template of {self._folder} does not render {start} …: {error}."
            ) from error


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / "tokenizer_config.json"
    if not file.is_file():
        raise RequestError(
            f"{folder} has no tokenizer_config.json: it is not a tokenizer's folder."
        )
    config: dict[str, Any] = read_json(file)
    return config


def _special_tokens(config: dict[str, Any]) -> dict[str, str]:
    """The special tokens by name. A configuration holds each as text or as a record with it; null
    stands for none.
    """
    tokens = {}
    for name, value in config.items():
        token = value.get("content") if isinstance(value, dict) else value
        if name.endswith("_token") and isinstance(token, str):
            tokens[name] = token
    return tokens


def _find_source(folder: Path, config: dict[str, Any]) -> str:
    """The template's text, from a file of its own or from the tokenizer's configuration."""
    template = _configured_template(config)
    file = folder / "chat_template.jinja"
    if file.is_file():
        template = file.read_text(encoding="utf-8")
    if not template:
        raise RequestError(
            f"{folder} has no chat template (chat_template.jinja, or chat_template in"
            " tokenizer_config.json). Name the folder of a chat model."
        )
    return template


def _configured_template(config: dict[str, Any]) -> str:
    """The configuration's template, of several the one named default; empty if there is none."""
    template = config.get("chat_template") or ""
    if isinstance(template, str):
        return template
    for entry in template:
        if entry["name"] == "default":
            return str(entry["template"])
    return ""


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
