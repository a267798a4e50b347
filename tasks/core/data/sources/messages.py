"""Conversations as lists of messages, in the forms that people save them: role and content as
OpenAI has them, from and value as ShareGPT has them, each as a list or as its text.
"""

import ast
import json
from collections.abc import Mapping
from typing import Any

from tasks.core.data.chat import Chat, Drop, Turn, find_fault

COLUMNS = ("messages", "conversations", "conversation")
"""Names of the column that holds the list."""

_ROLES = {
    "system": "system",
    "developer": "system",  # OpenAI's newer name
    "user": "user",
    "human": "user",  # ShareGPT
    "assistant": "assistant",
    "gpt": "assistant",  # ShareGPT
    "model": "assistant",  # Gemini
    "tool": "tool",
}


def read_messages(messages: Any) -> Chat | Drop:
    """The conversation of a list of messages, or why there is none.

    It must begin with a question, end with an assistant's text, and every message be text.
    """
    messages = parsed(messages)
    if messages is None:
        return "neither JSON nor Python's form of it in messages"
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        return "not a list of messages in messages"
    turns = []
    for message in messages:
        turn = _read_turn(message)
        if isinstance(turn, str):
            return turn
        turns.append(turn)
    system = None
    if turns and turns[0].role == "system":
        system = turns.pop(0).text
    fault = _order_fault(turns)
    if fault:
        return fault
    return Chat(system, tuple(turns))


def parsed(value: Any) -> Any:
    """The list that a text stands for; pandas' to_csv writes Python's form. None if it is none.
    What is no text comes back as it is.
    """
    if not isinstance(value, str):
        return value
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(value)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return None


def _read_turn(message: Mapping[str, Any]) -> Turn | Drop:
    named = message.get("role", message.get("from"))
    role = _ROLES.get(named) if isinstance(named, str) else None
    if role is None:
        return "unknown role in messages"
    if role == "assistant" and message.get("weight") == 0:
        return "answer of weight 0 in messages"  # every answer of a row is trained
    text = text_of(message.get("content", message.get("value")))
    fault = find_fault(text)
    if fault:
        return f"{fault} in messages"
    return Turn(role, text.strip())


def text_of(content: Any) -> Any:
    """Parts of text as one text; anything else as it is."""
    if not isinstance(content, list) or not content:
        return content
    texts = []
    for part in content:
        text = part.get("text") if isinstance(part, dict) else part
        if not isinstance(text, str):
            return content
        texts.append(text)
    return "\n".join(texts)


def _order_fault(turns: list[Turn]) -> Drop | None:
    """What keeps the turns after the system prompt from being a conversation, if anything does."""
    roles = [turn.role for turn in turns]
    if "system" in roles:
        return "second system prompt in messages"
    if not roles or roles[0] != "user":
        return "no question at the start of messages"
    if roles[-1] != "assistant":
        return "no answer at the end of messages"
    return None
