"""Tokens of conversations as training sees them: the tokenizer's own chat template, then its
tokenizer. No torch.

Reads tokenizer.json, and chat_template.jinja or tokenizer_config.json, of a base model's folder.
"""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Template, TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from tasks.core.errors import RequestError
from tasks.core.files.json_files import read_json

_SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")
_GENERATION = re.compile(r"{%(-?)\s*(end)?generation\s*(-?)%}")  # marks for training, of no width
_EXCERPT = 80  # characters of a conversation in an error


class TokenCounter:
    """Counts the tokens of whole conversations.

    Raises RequestError for a folder without a tokenizer or a chat template.
    """

    def __init__(self, folder: Path):
        file = folder / "tokenizer.json"
        if not file.is_file():
            raise RequestError(
                f"--tokenizer {folder}: there is no tokenizer.json. Name the folder of a base"
                " model, e.g. the `base` of a download artifact (kospilot artifacts list)."
            )
        config_file = folder / "tokenizer_config.json"
        config = read_json(config_file) if config_file.is_file() else {}
        self._tokenizer = Tokenizer.from_file(str(file))
        self._special = _special_tokens(config)
        self._template = _compile(_find_template(folder, config))

    def count(self, conversations: Sequence[list[dict[str, Any]]]) -> list[int]:
        """The tokens of each conversation (role and content), all turns; one batch for all."""
        texts = [self._render(messages) for messages in conversations]
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]

    def _render(self, messages: list[dict[str, Any]]) -> str:
        try:
            return self._template.render(
                messages=messages, add_generation_prompt=False, **self._special
            )
        except (TemplateError, TypeError) as error:
            start = str(messages)[:_EXCERPT]
            raise RequestError(
                f"The tokenizer's chat template does not render {start} …: {error}."
            ) from error


def _special_tokens(config: dict[str, Any]) -> dict[str, str]:
    """The special tokens by name; a configuration holds each as text or as an object."""
    special = {}
    for name in _SPECIAL:
        token = config.get(name)
        if token:
            special[name] = token if isinstance(token, str) else token["content"]
    return special


def _find_template(folder: Path, config: dict[str, Any]) -> str:
    template = _configured_template(config)
    file = folder / "chat_template.jinja"
    if file.is_file():
        template = file.read_text(encoding="utf-8")
    if not template:
        raise RequestError(
            f"--tokenizer {folder} has no chat template (chat_template.jinja, or chat_template in"
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
            return entry["template"]
    return ""


def _compile(template: str) -> Template:
    """The template with what transformers gives templates: whitespace, break and continue, two
    functions, a filter.
    """
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _now
    return environment.from_string(_GENERATION.sub(_as_condition, template))


def _as_condition(mark: re.Match[str]) -> str:
    """A generation block as a condition that always holds, because jinja2 knows no such block."""
    keyword = "endif" if mark[2] else "if true"
    return f"{{%{mark[1]} {keyword} {mark[3]}%}}"


def _to_json(value: Any, **options: Any) -> str:
    return json.dumps(value, **{"ensure_ascii": False, **options})


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _refuse(message: str) -> None:
    raise TemplateError(message)
