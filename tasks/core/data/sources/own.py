"""Your own rows, any file with a column map: data.own=FILE data.own_user=COLUMN
data.own_assistant=COLUMN.

A file with a column `messages` (role and content each, as a list or as its JSON text) needs no map.
The columns of data.own_keep go along to rows.parquet, text as it is and other values as JSON text,
for recipes that use them.
"""

import json
from functools import partial
from typing import Any

from tasks.core.data.chat import Chat, Drop, Row, Source, Turn, find_fault, make_chat
from tasks.core.errors import RequestError
from tasks.core.settings.tree import Data

_ROLES = ("system", "user", "assistant", "tool")


def own_source(data: Data) -> Source:
    """The source that data.own's settings describe.

    Raises RequestError for a column to keep whose name rows.parquet uses itself.
    """
    reserved = {"messages", "source"} & set(data.own_keep)
    if reserved:
        raise RequestError(
            f"data.own_keep={data.own_keep}: rows.parquet has a {reserved.pop()} of its own. Leave"
            " it out."
        )
    columns: list[tuple[str, ...]] = [
        ("messages", data.own_user),
        ("messages", data.own_assistant),
    ]
    if data.own_system:
        columns.append((data.own_system,))
    return Source(
        name="own",
        columns=tuple(columns),
        system=None,
        to_chat=partial(to_chat, data=data),
        optional=(_system_column(data), *data.own_keep),
        carried=tuple(dict.fromkeys(data.own_keep)),
    )


def to_chat(row: Row, data: Data) -> Chat | Drop:
    """The conversation of a row, with the columns to keep, or why the row is dropped."""
    if row.get("messages") is None:
        chat = make_chat(row, _system_column(data), data.own_user, data.own_assistant)
    else:
        chat = read_messages(row["messages"])
    if isinstance(chat, str):
        return chat
    carried = {name: _carried_text(row.get(name)) for name in data.own_keep}
    return Chat(chat.system, chat.turns, carried)


def read_messages(messages: Any) -> Chat | Drop:
    """The conversation of a list of messages, or why there is none.

    It must begin with a question, end with an assistant's text, and every message be text.
    """
    if isinstance(messages, str):
        try:
            messages = json.loads(messages)
        except (ValueError, RecursionError):
            return "not JSON in messages"
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


def _read_turn(message: dict[str, Any]) -> Turn | Drop:
    if message.get("role") not in _ROLES:
        return "unknown role in messages"
    if message.get("tool_calls"):
        return "tool call in messages"  # training renders text alone
    fault = find_fault(message.get("content"))
    if fault:
        return f"{fault} in messages"
    return Turn(message["role"], message["content"].strip())


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


def _system_column(data: Data) -> str:
    return data.own_system or "system"


def _carried_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
