"""Your own rows, any file with a column map: data.own=FILE data.own_user=COLUMN
data.own_assistant=COLUMN.

A file with a column `messages` (role and content each, as a list or as its JSON text) needs no map.
The columns of data.own_keep go along to rows.parquet, text as it is and other values as JSON text,
for recipes that use them.
"""

import json
from typing import Any

from tasks.core.data.chat import Chat, Drop, Row, Source, find_fault, make_chat
from tasks.core.errors import RequestError
from tasks.core.settings.tree import Data

_ROLES = ("system", "user", "assistant", "tool")


def own_source(data: Data) -> Source:
    """The source that data.own's settings describe. Raises RequestError for a carried column that
    cannot be.
    """
    system = data.own_system or "system"
    if taken := {"messages", "source"} & set(data.own_keep):
        raise RequestError(
            f"data.own_keep={data.own_keep}: rows.parquet has a {taken.pop()} of its own. Leave it out."
        )

    def to_chat(row: Row) -> Chat | Drop:
        messages = row.get("messages")
        chat = (
            make_chat(row, system, data.own_user, data.own_assistant)
            if messages is None
            else read_messages(messages)
        )
        if isinstance(chat, str):
            return chat
        return chat._replace(carried=tuple((name, _text(row.get(name))) for name in data.own_keep))

    return Source(
        "own",
        columns=(
            ("messages", data.own_user),
            ("messages", data.own_assistant),
            *([(data.own_system,)] if data.own_system else []),
        ),
        system=None,
        to_chat=to_chat,
        optional=(system, *data.own_keep),
        carried=tuple(dict.fromkeys(data.own_keep)),
    )


def read_messages(messages: Any) -> Chat | Drop:
    """The conversation of a list of messages; it must end with an assistant's text, and every
    message be text.
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
        if message.get("role") not in _ROLES:
            return "unknown role in messages"
        if message.get("tool_calls"):
            return "tool call in messages"  # training renders text alone
        if fault := find_fault(message.get("content")):
            return f"{fault} in messages"
        turns.append((message["role"], message["content"].strip()))
    system = turns.pop(0)[1] if turns and turns[0][0] == "system" else None
    roles = [role for role, _ in turns]
    if "system" in roles:
        return "second system prompt in messages"
    if not roles or roles[0] != "user":
        return "no question at the start of messages"
    if roles[-1] != "assistant":
        return "no answer at the end of messages"
    return Chat(system, tuple(turns))


def _text(value: Any) -> str | None:
    return (
        value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    )
