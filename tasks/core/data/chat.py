"""What the sources share: a row goes in; a conversation or the reason to drop it comes out."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tasks.core.chat.special_tokens import SPECIAL_TOKEN

Row = Mapping[str, Any]

Drop = str
"""Why a row is left out, with its column: `null in answer`, `blank in user` and so on."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character: no encoder takes it

_INVISIBLE = re.compile(
    "[\\s\u00ad\u115f\u1160\u180e\u200b-\u200f\u2060-\u2064\u3164\ufeff\uffa0]*"
)
"""White space, and characters that show as nothing: Hangul fillers, joiners, byte order marks."""

_MISSING = {"nan", "NaN", "None", "null", "NULL", "<NA>"}
"""What programs write where there is no value."""


class Turn(NamedTuple):
    """One message of a conversation: `user`, `assistant` or `tool`, and its text."""

    role: str
    text: str


class Chat(NamedTuple):
    """A conversation; the ends of its texts are stripped."""

    system: str | None  # None if the row brings no prompt of its own
    turns: tuple[Turn, ...]  # the system prompt is not among them
    carried: Mapping[str, str | None] = {}  # columns that go along to rows.parquet

    @property
    def spoken(self) -> str:
        """The texts of all turns, without the system prompt."""
        return "\n".join([turn.text for turn in self.turns])


@dataclass(frozen=True)
class Source:
    """One data set: its columns, its prompt, and how a row becomes a conversation."""

    name: str  # also the field of settings.Data that says where it lies
    columns: tuple[tuple[str, ...], ...]  # needed, each with the names it may have
    system: str | None  # for rows without a prompt of their own; None: the strategy prompt
    to_chat: Callable[[Row], Chat | Drop]
    optional: tuple[str, ...] = ()  # columns that are read if they are there
    carried: tuple[str, ...] = ()  # columns of rows.parquet that it fills beside the messages


def make_chat(row: Row, system: str | None, user: str, assistant: str) -> Chat | Drop:
    """The conversation of three columns of a row, or why there is none.

    `system` is None if there is no such column.
    """
    prompt = row.get(system) if system else None
    if prompt is not None:
        fault = find_fault(prompt)
        if fault and fault != "blank":
            return f"{fault} in {system}"
    for column in (user, assistant):
        fault = find_fault(row.get(column))
        if fault:
            return f"{fault} in {column}"
    question = Turn("user", row[user].strip())
    answer = Turn("assistant", row[assistant].strip())
    own_prompt = "" if prompt is None else prompt.strip()
    return Chat(own_prompt or None, (question, answer))


def make_instruction_chat(row: Row, needs_input: bool) -> Chat | Drop:
    """The conversation of columns instruction, input and output, or why there is none.

    The user message is instruction and input; without `needs_input` the input may be blank.
    """
    columns = ["instruction"]
    if needs_input or not is_blank(row.get("input")):
        columns.append("input")
    texts = []
    for column in columns:
        fault = find_fault(row.get(column))
        if fault:
            return f"{fault} in {column}"
        texts.append(row[column].strip())
    question = "\n\n".join(texts)
    return make_chat({"user": question, "output": row.get("output")}, None, "user", "output")


def is_blank(value: Any) -> bool:
    """Whether a value is missing or a text of white space."""
    return value is None or (isinstance(value, str) and not value.strip())


def find_fault(value: Any) -> str | None:
    """What is wrong with a value that should be text, or None."""
    if value is None:
        return "null"
    if not isinstance(value, str):
        return "not text"
    if _INVISIBLE.fullmatch(value):
        return "blank"
    if value in _MISSING:
        return f"{value} for a missing value"
    if "\0" in value:
        return "NUL byte"
    # A look for two characters takes a hundredth of the time of one for the pattern.
    if (">" in value or "INST]" in value) and SPECIAL_TOKEN.search(value):
        return "special token of a chat template"  # it would open or end a turn of its own
    return None if value.isascii() else _character_fault(value)


def _character_fault(text: str) -> str | None:
    if _LONE_SURROGATE.search(text):
        return "half a character"
    if "\ufffd" in text:
        return "lost character (U+FFFD)"
    return None
