"""trading_dataset_v2: indicator readings and the trading decision that follows from them."""

from tasks.core.data.chat import Chat, Drop, Row, Source, make_instruction_chat

SYSTEM = "You are a trading analyst. Decide from the indicators given, name the deciding one, and state the risk."


def to_chat(row: Row) -> Chat | Drop:
    return make_instruction_chat(row, needs_input=False)


TRADING_SIGNALS = Source(
    "trading_signals", (("instruction",), ("input",), ("output",)), SYSTEM, to_chat
)
