"""A tokenizer's own chat template, rendered as training renders it but without the training
libraries.

Reads tokenizer_config.json and chat_template.jinja of a tokenizer's folder.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.core.chat.rendering import TemplateRefused, refuse_no_jinja, render
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
            refuse_no_jinja(source)
        except TemplateRefused as error:
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
        values = {
            "messages": list(messages),
            "tools": list(tools) or None,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
        }
        try:
            return render(self.source, values | self._special_tokens)
        except TemplateRefused as error:
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
