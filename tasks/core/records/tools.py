"""A tool that a model may call, and a call of one: what data, training and evaluation share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Tool = Mapping[str, Any]
"""A function as OpenAI's API describes it: {"type": "function", "function": {"name",
"description", "parameters"}}, whose parameters are a JSON Schema.
"""


@dataclass(frozen=True)
class ToolCall:
    """One call: the tool's name and its arguments, an object."""

    name: str
    arguments: dict[str, Any]
