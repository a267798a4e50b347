"""Your own rows, any file with a column map: data.own=FILE data.own_user=COLUMN
data.own_assistant=COLUMN.

A file with a column `messages` or `conversations` (a list of messages, or its text) needs no map;
with a column `tools` beside it, its messages may call these. The columns of data.own_keep go along
to rows.parquet, text as it is and other values as JSON text, for recipes that use them.
"""

import json
from functools import partial
from typing import Any

from tasks.core.data.chat import Chat, Drop, Row, Source, make_chat
from tasks.core.data.sources.conversation import TOOLS, messages_of, read_conversation
from tasks.core.data.sources.messages import COLUMNS
from tasks.core.data.sources.tool_calls import Fault
from tasks.core.errors import RequestError
from tasks.core.settings.data import Data


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
        (*COLUMNS, data.own_user),
        (*COLUMNS, data.own_assistant),
    ]
    if data.own_system:
        columns.append((data.own_system,))
    return Source(
        name="own",
        columns=tuple(columns),
        system=None,
        to_chat=partial(to_chat, data=data),
        optional=(_system_column(data), TOOLS, *data.own_keep),
        carried=tuple(dict.fromkeys(data.own_keep)),
    )


def to_chat(row: Row, data: Data) -> Chat | Drop:
    """The conversation of a row, with the columns to keep, or why the row is dropped."""
    chat = _read(row, data)
    if isinstance(chat, str):
        return chat
    carried = {name: _carried_text(row.get(name)) for name in data.own_keep}
    return Chat(chat.system, chat.turns, carried)


def _read(row: Row, data: Data) -> Chat | Drop:
    if messages_of(row) is None:
        return make_chat(row, _system_column(data), data.own_user, data.own_assistant)
    try:
        return read_conversation(row)
    except Fault as fault:
        return fault.reason


def _system_column(data: Data) -> str:
    return data.own_system or "system"


def _carried_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
