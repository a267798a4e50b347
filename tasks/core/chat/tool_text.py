"""Conversations with tools as plain text: what a model reads of its tools, and writes to call one.

The form is the one of Qwen2.5's chat template. A base of that family reads the very same text
whether it is rendered here or by its own template, so it can be asked with `tools` too; any other
base learns the form from its rows.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Tool = Mapping[str, Any]
"""A function as OpenAI's API describes it: {"type": "function", "function": {"name",
"description", "parameters"}}, whose parameters are a JSON Schema.
"""

NO_SYSTEM = "You are a helpful assistant."
"""The system text before the tools of a conversation that has none of its own."""

_TOOLS = re.compile(r"\n\n# Tools\n.*?\n<tools>\n(.*?)\n</tools>", re.DOTALL)
_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)


@dataclass(frozen=True)
class ToolCall:
    """One call: the tool's name and its arguments, an object."""

    name: str
    arguments: dict[str, Any]


def with_tools(system: str, tools: Sequence[Tool]) -> str:
    """Returns the system text with the tools behind it."""
    signatures = "".join(f"\n{to_json(tool)}" for tool in tools)
    return (
        f"{system}\n\n# Tools\n\nYou may call one or more functions to assist with the user"
        " query.\n\nYou are provided with function signatures within <tools></tools> XML"
        f" tags:\n<tools>{signatures}\n</tools>\n\nFor each function call, return a json object"
        " with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n"
        '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
    )


def read_tools(system: str) -> list[Tool]:
    """Returns the tools behind a system text; none if it has none, or what are none."""
    found = _TOOLS.findall(system)
    if not found:
        return []
    try:
        tools = [json.loads(line) for line in found[-1].split("\n")]
    except ValueError:
        return []
    return tools if all(map(_is_tool, tools)) else []


def _is_tool(value: Any) -> bool:
    function = value.get("function") if isinstance(value, dict) else None
    return isinstance(function, dict) and isinstance(function.get("name"), str)


def write_calls(text: str, calls: Sequence[ToolCall]) -> str:
    """Returns an assistant's message: its text, if there is any, and each call below it."""
    lines = [text] if text else []
    for call in calls:
        told = to_json({"name": call.name, "arguments": call.arguments})
        lines.append(f"<tool_call>\n{told}\n</tool_call>")
    return "\n".join(lines)


def write_results(results: Sequence[str]) -> str:
    """Returns what tools answered as the user's message that the model reads it in."""
    return "\n".join(f"<tool_response>\n{result}\n</tool_response>" for result in results)


@dataclass(frozen=True)
class CallsRead:
    """What a model's message calls."""

    calls: tuple[ToolCall, ...]
    broken: int  # calls that are no JSON object with a name and arguments
    text: str  # what it says beside them


def read_calls(message: str) -> CallsRead:
    """Returns the calls of a message. One that the token limit cut counts as broken."""
    calls = []
    broken = 0
    for told in _CALL.findall(message):
        call = _read_call(told)
        if call is None:
            broken += 1
        else:
            calls.append(call)
    return CallsRead(tuple(calls), broken, _CALL.sub("", message).strip())


def _read_call(told: str) -> ToolCall | None:
    try:
        call = json.loads(told, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        return None
    arguments = call.get("arguments", {})
    return ToolCall(call["name"], arguments) if isinstance(arguments, dict) else None


def to_json(value: Any) -> str:
    """Returns the JSON that chat templates write: one line, and no letter escaped.

    Raises ValueError for NaN and infinities, which are no JSON.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def refuse_constant(name: str) -> Any:
    """For json.loads, which reads NaN and infinities if nothing refuses them."""
    raise ValueError(f"{name} is no JSON")
