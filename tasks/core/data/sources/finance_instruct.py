"""Finance-Instruct-500k: broad English finance dialogues, with a system prompt or a blank one."""

from tasks.core.data.chat import Chat, Drop, Row, Source, make_chat


def to_chat(row: Row) -> Chat | Drop:
    """The conversation of a row, or why the row is dropped."""
    return make_chat(row, "system", "user", "assistant")


FINANCE_INSTRUCT = Source(
    name="finance_instruct",
    columns=(("system",), ("user",), ("assistant",)),
    system=None,
    to_chat=to_chat,
)
