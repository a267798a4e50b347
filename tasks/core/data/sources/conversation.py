"""A row's conversation, with or without tools: what is trained, checked and reported of it."""

from typing import Any

from tasks.core.chat.tool_text import read_tools
from tasks.core.data.chat import Chat, Row
from tasks.core.data.sources.messages import COLUMNS, parsed, read_messages
from tasks.core.data.sources.tool_calls import Fault, has_tools, read_tool_chat

TOOLS = "tools"
"""The column of a row's tools."""


def messages_of(row: Row) -> Any:
    """The messages, a list or its text, under whichever name; None if the row has none."""
    for column in COLUMNS:
        if row.get(column) is not None:
            return row[column]
    return None


def is_about_tools(row: Row) -> bool:
    """Whether a row's messages may call tools. In one that kospilot wrote they are text by now."""
    messages = parsed(messages_of(row))
    if messages is None or not has_tools(row.get(TOOLS), messages):
        return False
    first = messages[0] if isinstance(messages, list) and messages else None
    system = first.get("content") if isinstance(first, dict) else None
    return not (isinstance(system, str) and read_tools(system))


def read_conversation(row: Row) -> Chat:
    """Returns the conversation of a row that has messages. Raises Fault if it cannot be trained."""
    if is_about_tools(row):
        return read_tool_chat(parsed(messages_of(row)), row.get(TOOLS))
    chat = read_messages(messages_of(row))
    if isinstance(chat, str):
        raise Fault(chat)
    return chat
