"""What a model server must know besides the weights: prompt template, system prompt and sampling
parameters.

Reads the chat template of a tokenizer's folder, to prove that it is the one that is served.
"""

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from tasks.core.chat.families import Family, find_family
from tasks.core.chat.template import ChatTemplate
from tasks.core.settings.release import Release

_PARTS = ("trimmed", "arguments", "tool-line", "tool-indented")
"""Go templates that others use: each defines what its name says."""

_NOT_FOR_OLLAMA = (
    "# No template that kospilot ships for Ollama asks this model as it was trained. llama.cpp's"
    " own server does, by the template in the GGUF."
)


@dataclass(frozen=True)
class Modelfile:
    """All that Ollama's Modelfile says besides FROM. The embedded server follows it too, except
    for the template: it runs the one of the GGUF, which is the tokenizer's own.
    """

    template: str  # in Go's language; empty if Ollama can be given none that is right
    system: str
    parameters: dict[str, Any]

    @property
    def is_for_ollama(self) -> bool:
        """Whether Ollama can ask the model as it was trained."""
        return bool(self.template)

    def text(self, gguf: str) -> str:
        """Returns it as a file for `ollama create -f`, with the GGUF's path in FROM."""
        lines = [f"FROM {gguf}", _NOT_FOR_OLLAMA]
        if self.is_for_ollama:
            lines[1] = f'TEMPLATE """{self.template}"""'
        if self.system:
            lines.append(f'SYSTEM """{self.system}"""')
        for name, value in self.parameters.items():
            values = value if isinstance(value, list) else [value]
            lines += [f"PARAMETER {name} {_quoted(each)}" for each in values]
        return "\n".join(lines) + "\n"


def build_modelfile(tokenizer_dir: Path, release: Release, system: str) -> Modelfile:
    """Returns the Modelfile of a model that was trained with this tokenizer.

    Sampling is cool because answers are facts and JSON, and repeats are not punished because
    tickers and numbers are copied from the prompt. Every parameter is named, because the server's
    own defaults would hold for those left out. The template is empty if none that is shipped
    renders as the tokenizer's own does.
    """
    chat_template = ChatTemplate(tokenizer_dir)
    family = find_family(chat_template)
    if family:
        template = read_template(family)
        stops = list(family.stops)
    else:
        template = ""
        stops = [chat_template.eos_token]
    parameters = {
        "temperature": 0.3,
        "top_p": 0.9,
        "top_k": 40,
        "repeat_penalty": 1.0,
        "num_predict": release.num_predict,
        "num_ctx": release.num_ctx,
        "stop": stops,
    }
    return Modelfile(template, system, parameters)


def read_template(family: Family) -> str:
    """Returns the family's Go template, behind the parts that it uses.

    A last newline in the file belongs to the file, not to the prompt.
    """
    text = _read(family.key)
    for part in _PARTS:
        if f'template "{part}"' in text:
            text = _read(part) + text
    return text


def _read(key: str) -> str:
    file = files("tasks.core.serving") / "templates" / f"{key}.gotmpl"
    return file.read_text(encoding="utf-8").removesuffix("\n")


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
