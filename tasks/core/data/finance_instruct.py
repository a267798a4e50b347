"""Finance-Instruct-500k: broad English finance dialogues, each with a system prompt or a blank one."""

from tasks.core.data.chat import Chat, Drop, Row, Source, make_chat


def to_chat(row: Row) -> Chat | Drop:
    return make_chat(row, "system", "user", "assistant")


FINANCE_INSTRUCT = Source(
    "finance_instruct", (("system",), ("user",), ("assistant",)), None, to_chat
)
