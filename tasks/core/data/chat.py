"""What the sources share: a row in, one conversation or the reason to drop the row out."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Row = Mapping[str, Any]

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character: no encoder takes it


class Chat(NamedTuple):
    """A conversation, ends of texts stripped. system is None where the row brings no prompt of its
    own.
    """

    system: str | None
    turns: tuple[tuple[str, str], ...]  # (role, text), the system prompt not among them
    carried: tuple[
        tuple[str, str | None], ...
    ] = ()  # (column, value) that go along to rows.parquet


Drop = str
"""Why a row is left out, with its column: `null in answer`, `blank in user`, `not text in output` …"""


@dataclass(frozen=True)
class Source:
    """One data set: its columns, its prompt, and how a row becomes a conversation."""

    name: str  # also the field of settings.Data that says where it lies
    columns: tuple[tuple[str, ...], ...]  # needed, each with the names it may have
    system: str | None  # for rows without a prompt of their own; None: the strategy prompt
    to_chat: Callable[[Row], Chat | Drop]
    optional: tuple[str, ...] = ()  # columns read where they are there
    carried: tuple[str, ...] = ()  # columns of rows.parquet that it fills beside the messages


def make_chat(row: Row, system: str | None, user: str, assistant: str) -> Chat | Drop:
    """The conversation of three columns of a row (system None: there is no such column), or why
    there is none.
    """
    prompt = row.get(system) if system else None
    if prompt is not None and (fault := find_fault(prompt)) not in (None, "blank"):
        return f"{fault} in {system}"
    for column in (user, assistant):
        if fault := find_fault(row.get(column)):
            return f"{fault} in {column}"
    return Chat(
        (prompt or "").strip() or None,
        (("user", row[user].strip()), ("assistant", row[assistant].strip())),
    )


def make_instruction_chat(row: Row, needs_input: bool) -> Chat | Drop:
    """The conversation of columns instruction, input, output: the user message is instruction and
    input.
    """
    user = [row.get("instruction")]
    if needs_input or not _absent(row.get("input")):
        user.append(row.get("input"))
    for column, value in zip(("instruction", "input"), user, strict=False):
        if fault := find_fault(value):
            return f"{fault} in {column}"
    joined = "\n\n".join(text.strip() for text in user)
    return make_chat({"user": joined, "output": row.get("output")}, None, "user", "output")


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def find_fault(value: Any) -> str | None:
    """What is wrong with a value that should be text, or None."""
    if value is None:
        return "null"
    if not isinstance(value, str):
        return "not text"
    if not value or value.isspace():
        return "blank"
    if "\0" in value:
        return "NUL byte"
    return "half a character" if not value.isascii() and _LONE_SURROGATE.search(value) else None
