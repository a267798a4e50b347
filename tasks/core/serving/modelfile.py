"""What a model server must know besides the weights: prompt template, system prompt and sampling
parameters.

Reads the chat template of a tokenizer's folder, to prove that it is the one that is served.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.core.chat.template import ChatTemplate, Messages
from tasks.core.errors import RequestError
from tasks.core.settings.tree import Release

_CHATML = (
    "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
    "<|im_start|>assistant\n"
)
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
    """All that Ollama's Modelfile says besides FROM. The embedded server follows it too."""

    template: str
    system: str
    parameters: dict[str, Any]

    def text(self, gguf: str) -> str:
        """Returns it as a file for `ollama create -f`, with the GGUF's path in FROM."""
        lines = [f"FROM {gguf}", f'TEMPLATE """{self.template}"""', f'SYSTEM """{self.system}"""']
        for name, value in self.parameters.items():
            values = value if isinstance(value, list) else [value]
            lines += [f"PARAMETER {name} {_quoted(each)}" for each in values]
        return "\n".join(lines) + "\n"


def build_modelfile(tokenizer_dir: Path, release: Release, system: str) -> Modelfile:
    """Returns the Modelfile of a model that was trained with this tokenizer.

    Sampling is cool because answers are facts and JSON, and repeats are not punished because
    tickers and numbers are copied from the prompt. Every parameter is named, because the server's
    own defaults would hold for those left out. Raises RequestError if the model's chat template is
    not ChatML.
    """
    template = ChatTemplate(tokenizer_dir)
    rendered = template.render(_PROBE, add_generation_prompt=True)
    chatml = _as_chatml(_PROBE)
    if rendered not in (chatml, template.bos_token + chatml):
        raise RequestError(
            f"The chat template of {tokenizer_dir} is not ChatML, and ChatML is what kospilot"
            f" serves: it renders {rendered!r} where ChatML is {chatml!r}. Take a base model with"
            " ChatML, e.g. Qwen2.5 or SmolLM2."
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


def _as_chatml(messages: Messages) -> str:
    text = ""
    for message in messages:
        text += f"<|im_start|>{message['role']}\n{message['content']}<|im_end|>\n"
    return text + "<|im_start|>assistant\n"


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
