"""What a model server must know beside the weights: prompt template, system prompt and sampling
parameters.

Reads the chat template of a tokenizer folder and renders it as training does, without the training
libraries.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tasks.core.errors import RequestError
from tasks.core.settings.tree import Release

Messages = list[dict[str, str]]
"""A conversation: {"role": "system" | "user" | "assistant", "content": text} in order."""

_CHATML = "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"
"""ChatML as an Ollama (Go) template; Ollama puts SYSTEM before a conversation that has no system
message.
"""

_PROBE = [
    {"role": "system", "content": "S"},
    {"role": "user", "content": "U"},
    {"role": "assistant", "content": "A"},
    {"role": "user", "content": "V"},
]


@dataclass(frozen=True)
class Modelfile:
    """All that Ollama's Modelfile says beside FROM. The embedded server follows it too."""

    template: str
    system: str
    parameters: dict[str, Any]

    def text(self, gguf: str) -> str:
        """The same as a Modelfile for `ollama create -f`, with the GGUF's path in FROM."""
        lines = [f"FROM {gguf}", f'TEMPLATE """{self.template}"""', f'SYSTEM """{self.system}"""']
        for name, value in self.parameters.items():
            lines += [
                f"PARAMETER {name} {_quoted(one)}"
                for one in (value if isinstance(value, list) else [value])
            ]
        return "\n".join(lines) + "\n"


def build_modelfile(tokenizer_dir: Path, release: Release, system: str) -> Modelfile:
    """Raises RequestError if the model's chat template is not ChatML.

    Sampling is cool because answers are facts and JSON, and repeats are not punished because
    tickers and numbers are copied from the prompt. Every parameter is named: the server's own
    defaults would hold for those left out.
    """
    rendered, chatml = render_training_prompt(tokenizer_dir, _PROBE), _as_chatml(_PROBE)
    if rendered not in (chatml, bos_token(tokenizer_dir) + chatml):
        raise RequestError(
            f"The chat template of {tokenizer_dir} is not ChatML, and ChatML is what kospilot serves: it renders"
            f" {rendered!r} where ChatML is {chatml!r}. Take a base model with ChatML, e.g. Qwen2.5 or SmolLM2."
        )
    parameters = {
        "temperature": 0.3,
        "top_p": 0.9,
        "top_k": 40,
        "repeat_penalty": 1.0,
        "num_predict": release.num_predict,
        "num_ctx": release.num_ctx,
        "stop": ["<|im_end|>", "<|im_start|>"],
    }
    return Modelfile(_CHATML, system, parameters)


def render_training_prompt(tokenizer_dir: Path, messages: Messages) -> str:
    """The prompt text as the tokenizer's own template makes it, up to where the assistant begins to
    write.
    """
    names = {
        name: _special(value)
        for name, value in _config(tokenizer_dir).items()
        if name.endswith("_token")
    }
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationMarks, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    template = environment.from_string(_chat_template(tokenizer_dir))
    return template.render(
        messages=messages, tools=None, documents=None, add_generation_prompt=True, **names
    )


def _as_chatml(messages: Messages) -> str:
    turns = [
        f"<|im_start|>{message['role']}\n{message['content']}<|im_end|>\n" for message in messages
    ]
    return "".join(turns) + "<|im_start|>assistant\n"


def _chat_template(folder: Path) -> str:
    file = folder / "chat_template.jinja"
    template = (
        file.read_text(encoding="utf-8") if file.is_file() else _config(folder).get("chat_template")
    )
    if isinstance(template, list):  # several, by name
        template = next((one["template"] for one in template if one["name"] == "default"), None)
    if not template:
        raise RequestError(
            f"{folder} has no chat template, neither chat_template.jinja nor in tokenizer_config.json."
        )
    return template


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "tokenizer_config.json"
    if not file.is_file():
        raise RequestError(
            f"{folder} has no tokenizer_config.json: it is not a tokenizer's folder."
        )
    return json.loads(file.read_text(encoding="utf-8"))


def bos_token(folder: Path) -> str:
    """The token that a tokenizer may put before a text; empty if it has none."""
    return _special(_config(folder).get("bos_token"))


def _special(value: Any) -> str:
    return (value["content"] if isinstance(value, dict) else value) or ""


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _to_json(value: Any, indent: int | None = None) -> str:
    """Jinja's own filter escapes HTML characters, which the tokenizer's does not."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> None:
    raise TemplateError(message)


class _GenerationMarks(Extension):
    """Lets {% generation %} … {% endgeneration %} through: training marks the assistant's tokens
    with it.
    """

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)
