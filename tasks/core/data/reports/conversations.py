"""The conversations in a row of a training, synthetic or pair file."""

from typing import Any

from tasks.core.data.sources.conversation import is_about_tools, read_conversation
from tasks.core.data.sources.tool_calls import Fault

Messages = list[dict[str, Any]]
"""Each with role and content."""


def conversations_of(row: dict[str, Any]) -> list[Messages] | str:
    """The row's conversation, or its prompt with each of two answers, chosen first; or what is
    wrong with the row.
    """
    if is_about_tools(row):
        return _with_tools(row)
    if row.get("messages") is not None:
        conversations = [_message_list(row["messages"])]
    elif row.get("prompt") is not None and "chosen" in row:
        prompt = _messages_of(row["prompt"], "user")
        chosen = _messages_of(row.get("chosen"), "assistant")
        rejected = _messages_of(row.get("rejected"), "assistant")
        conversations = [_joined(prompt, chosen), _joined(prompt, rejected)]
    else:
        return "no messages, and no prompt with chosen and rejected"
    if not all(conversations):
        return "not text in a message"
    return conversations


def _with_tools(row: dict[str, Any]) -> list[Messages] | str:
    """The conversation as it is trained, tools, calls and results as text."""
    try:
        chat = read_conversation(row)
    except Fault as fault:
        return fault.reason
    messages = [{"role": "system", "content": chat.system}]
    return [[*messages, *({"role": turn.role, "content": turn.text} for turn in chat.turns)]]


def _messages_of(value: Any, role: str) -> Messages:
    """A list of messages as it is, a plain text as one message of the role; empty for anything
    else.
    """
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    return _message_list(value)


def _message_list(value: Any) -> Messages:
    """The value if it is a list of messages, else an empty list."""
    if isinstance(value, list) and all(_is_message(message) for message in value):
        return value
    return []


def _is_message(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return isinstance(value.get("role"), str) and isinstance(value.get("content"), str)


def _joined(prompt: Messages, answer: Messages) -> Messages:
    """The prompt and its answer; empty if either is."""
    if not prompt or not answer:
        return []
    return prompt + answer
