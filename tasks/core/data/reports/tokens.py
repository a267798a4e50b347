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

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from tasks.core.errors import RequestError

_SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")
_GENERATION = re.compile(r"{%(-?)\s*(end)?generation\s*(-?)%}")  # marks for training, of no width


class TokenCounter:
    """Counts tokens of whole conversations. Raises RequestError for a folder without tokenizer or
    template.
    """

    def __init__(self, folder: Path):
        file = folder / "tokenizer.json"
        if not file.is_file():
            raise RequestError(
                f"--tokenizer {folder}: there is no tokenizer.json. Name the folder of a base model, e.g. the `base` of"
                " a download artifact (kospilot artifacts list)."
            )
        config = folder / "tokenizer_config.json"
        named = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
        self._tokenizer = Tokenizer.from_file(str(file))
        self._special = {name: _text_of(named[name]) for name in _SPECIAL if named.get(name)}
        self._template = _compile(_find_template(folder, named))

    def count(self, conversations: Sequence[list[dict[str, Any]]]) -> list[int]:
        """Tokens of each conversation (role and content), all turns, as many at a time as there
        are.
        """
        texts = [self._render(messages) for messages in conversations]
        return [
            len(found.ids)
            for found in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        ]

    def _render(self, messages: list[dict[str, Any]]) -> str:
        try:
            return self._template.render(
                messages=messages, add_generation_prompt=False, **self._special
            )
        except (TemplateError, TypeError) as error:
            start = str(messages)[:80]
            raise RequestError(
                f"The tokenizer's chat template does not render {start} …: {error}."
            ) from error


def _find_template(folder: Path, named: dict[str, Any]) -> str:
    file = folder / "chat_template.jinja"
    template = file.read_text(encoding="utf-8") if file.is_file() else named.get("chat_template")
    if isinstance(template, list):  # several by name
        template = next(
            (entry["template"] for entry in template if entry["name"] == "default"), None
        )
    if not template:
        raise RequestError(
            f"--tokenizer {folder} has no chat template (chat_template.jinja, or chat_template in"
            " tokenizer_config.json). Name the folder of a chat model."
        )
    return template


def _compile(template: str) -> Any:
    """The template with what transformers gives templates: whitespace, break and continue, two
    functions, a filter.
    """
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = lambda value, **how: json.dumps(
        value, **{"ensure_ascii": False, **how}
    )
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(
        _GENERATION.sub(lambda m: f"{{%{m[1]} {'endif' if m[2] else 'if true'} {m[3]}%}}", template)
    )


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _text_of(token: str | dict[str, Any]) -> str:
    return token if isinstance(token, str) else token["content"]
