"""trading_dataset_v2: indicator readings and the trading decision that follows from them."""

from tasks.core.data.chat import Chat, Drop, Row, Source, make_instruction_chat

SYSTEM = (
    "You are a trading analyst. Decide from the indicators given, name the deciding one, and state"
    " the risk."
)


def to_chat(row: Row) -> Chat | Drop:
    """The conversation of a row, or why the row is dropped; its input may be blank."""
    return make_instruction_chat(row, needs_input=False)


TRADING_SIGNALS = Source(
    name="trading_signals",
    columns=(("instruction",), ("input",), ("output",)),
    system=SYSTEM,
    to_chat=to_chat,
)
