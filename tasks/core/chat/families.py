"""The chat templates that many models share, as plain functions, and which of them a tokenizer has.

A tokenizer's template is Jinja and Ollama's are Go's. Of each family here the serving room ships a
Go template, so a tokenizer that renders as a family does can be served by Ollama. What a family
renders is without a BOS, which the server puts in front.

Two things differ on Ollama for conversations that are not trained on: it joins messages of one role
that follow each other, and Go's templates trim the white space of ASCII only.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from pathlib import Path
from typing import Any

from tasks.core.chat.template import ChatTemplate
from tasks.core.chat.tool_text import with_tools
from tasks.core.errors import RequestError

Turns = Sequence[Mapping[str, Any]]
"""A conversation that begins with a system message, as all that is served here do."""
Tools = Sequence[Mapping[str, Any]]
"""Functions that the model may call, as OpenAI's API describes them; none if it is empty."""
Render = Callable[[Turns, Tools], str]


@dataclass(frozen=True)
class Family:
    """One way to write a conversation, up to where the assistant begins to write."""

    name: str
    key: str  # its Go template's file name
    stops: tuple[str, ...]
    render: Render
    takes_tools: bool = False


def _chatml(turns: Turns, tools: Tools) -> str:
    text = ""
    for turn in turns:
        text += f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n"
    return text + "<|im_start|>assistant\n"


def _qwen(turns: Turns, tools: Tools) -> str:
    """ChatML, with the tools behind the system text as Qwen2.5 writes them."""
    if not tools:
        return _chatml(turns, tools)
    system = with_tools(turns[0]["content"], tools)
    return _chatml([{"role": "system", "content": system}, *turns[1:]], tools)


def _llama3(turns: Turns, tools: Tools) -> str:
    text = ""
    for turn in turns:
        text += _llama3_turn(turn["role"], turn["content"].strip())
    return text + "<|start_header_id|>assistant<|end_header_id|>\n\n"


def _llama31(turns: Turns, tools: Tools) -> str:
    """Llama-3 with the dates that Llama-3.1 always states; tools stand before the first question.

    The dates are constants of its template. Llama-3.2 states today's, which no server can prove.
    """
    dates = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
    system = f"{dates}{turns[0]['content'].strip()}"
    question = turns[1]["content"].strip()
    if tools:
        system = f"Environment: ipython\n{system}"
        question = f"{_llama31_tools(tools)}{question}"
    first = _llama3_turn("system", system) + _llama3_turn("user", question)
    return first + _llama3(turns[2:], tools)


def _llama31_tools(tools: Tools) -> str:
    text = (
        "Given the following functions, please respond with a JSON for a function call with its"
        " proper arguments that best answers the given prompt.\n\nRespond in the format"
        ' {"name": function name, "parameters": dictionary of argument name and its value}.Do not'
        " use variables.\n\n"
    )
    for tool in tools:
        text += json.dumps(tool, ensure_ascii=False, indent=4) + "\n\n"
    return text


def _llama3_turn(role: str, content: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n{content}<|eot_id|>"


def _gemma(turns: Turns, tools: Tools) -> str:
    """Gemma has no system role: its third version writes the system text before the first
    question.
    """
    prefix = turns[0]["content"] + "\n\n"
    text = ""
    for turn in turns[1:]:
        role = "model" if turn["role"] == "assistant" else turn["role"]
        text += f"<start_of_turn>{role}\n{prefix}{turn['content'].strip()}<end_of_turn>\n"
        prefix = ""
    return text + "<start_of_turn>model\n"


_CHATML_STOPS = ("<|im_end|>", "<|im_start|>")
_LLAMA_STOPS = ("<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|start_header_id|>")
_GEMMA_STOPS = ("<end_of_turn>", "<start_of_turn>")

CHATML = Family("ChatML", "chatml", _CHATML_STOPS, _chatml)
CHATML_TOOLS = Family("ChatML", "chatml-tools", _CHATML_STOPS, _qwen, takes_tools=True)
LLAMA3 = Family("Llama-3", "llama-3", _LLAMA_STOPS, _llama3)
LLAMA31 = Family("Llama-3.1", "llama-3.1", _LLAMA_STOPS, _llama31)
LLAMA31_TOOLS = Family("Llama-3.1", "llama-3.1-tools", _LLAMA_STOPS, _llama31, takes_tools=True)
GEMMA = Family("Gemma 3", "gemma", _GEMMA_STOPS, _gemma)
FAMILIES = (CHATML_TOOLS, CHATML, LLAMA3, LLAMA31_TOOLS, LLAMA31, GEMMA)
"""With tools before without: a template that renders tools otherwise is served without them."""

_EXCERPT = 40  # characters of two texts, from where they differ
_NAMES = "ChatML, Llama-3, Llama-3.1 and Gemma 3"

_PLAIN = [
    {"role": "system", "content": "S"},
    {"role": "user", "content": "U"},
    {"role": "assistant", "content": "A"},
    {"role": "user", "content": "V"},
]
_EDGES = [
    {"role": "system", "content": " 너는 분석가.\n"},
    {"role": "user", "content": "\n코스피는? "},
    {"role": "assistant", "content": " 약세 \n"},
    {"role": "user", "content": "\t왜?\n\n"},
]
"""Some templates trim what is said and others do not."""

PROBE_TOOLS = (
    {
        "type": "function",
        "function": {
            "name": "price",
            "description": "Price of a stock, in won",
            "parameters": {
                "type": "object",
                "properties": {
                    "code": {"type": "string", "description": "종목 코드, 6 digits"},
                    "market": {
                        "type": "string",
                        "description": "Its market",
                        "enum": ["KOSPI", "KOSDAQ"],
                    },
                },
                "required": ["code"],
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "today",
            "description": "Today's date",
            "parameters": {"type": "object", "properties": {}},
        },
    },
)
"""Two tools, with and without arguments, their keys in the order in which Ollama writes them."""


def find_family(template: ChatTemplate) -> Family | None:
    """Returns the family that renders as this template does, or None if none does.

    A template that refuses a system message has none.
    """
    for family in FAMILIES:
        if _renders_alike(template, family):
            return family
    return None


def why_no_family(template: ChatTemplate) -> str:
    """Returns how a template that has no family differs, as the end of a sentence about it."""
    unlike = f"none of {_NAMES}"
    if template.states_today:
        return f"{unlike}: it may write today's date, which no other server would write alike"
    for turns in (_PLAIN, _EDGES):
        rendered = template.render(turns, add_generation_prompt=True)
        if not _is_alike(template, CHATML, turns):
            chatml = CHATML.render(turns, ())
            start = len(commonprefix([rendered, chatml]))
            return (
                f"{unlike}: it renders {_excerpt(rendered, start)} where ChatML is"
                f" {_excerpt(chatml, start)}"
            )
    return unlike


def refuse_template(folder: Path, allowed: str) -> None:
    """Raises RequestError if the chat template of a folder is not one of those allowed.

    allowed: training.template, that is known, chatml or any.
    """
    if allowed == "any":
        return
    template = ChatTemplate(folder)
    family = find_family(template)
    if family is None:
        raise RequestError(
            f"The chat template of {folder} is {why_no_family(template)}. Take a base model with"
            " one of these, e.g. Qwen2.5 or SmolLM2; or training.template=any, which trains this"
            " one and releases it on the embedded server, which runs the model's own template."
        )
    if allowed == "chatml" and family.name != CHATML.name:
        raise RequestError(
            f"The chat template of {folder} is {family.name}, and training.template=chatml allows"
            " ChatML only. Leave training.template out: this one can be trained and released too."
        )


def refuse_no_system(folder: Path) -> None:
    """Raises RequestError if the chat template of a folder refuses a system message, as Gemma's
    did before its third version: the strategy prompt is one.
    """
    try:
        ChatTemplate(folder).render(_PLAIN, add_generation_prompt=True)
    except RequestError as error:
        raise RequestError(
            f"{error} kospilot asks every model with the strategy prompt as the system message."
            " Take a base model whose template has a place for it (Gemma 3's has), or name a folder"
            " of your own in model.base whose chat_template.jinja writes the system text before"
            " the first question."
        ) from None


def _excerpt(text: str, start: int) -> str:
    end = start + _EXCERPT
    return repr(text[start:end]) + ("…" if end < len(text) else "")


def _renders_alike(template: ChatTemplate, family: Family) -> bool:
    if not _is_alike(template, family, _PLAIN) or not _is_alike(template, family, _EDGES):
        return False
    return not family.takes_tools or _is_alike(template, family, _PLAIN, PROBE_TOOLS)


def _is_alike(template: ChatTemplate, family: Family, turns: Turns, tools: Tools = ()) -> bool:
    try:
        rendered = template.render(turns, add_generation_prompt=True, tools=tools)
    except RequestError:
        return False
    expected = family.render(turns, tools)
    return rendered in (expected, template.bos_token + expected)
