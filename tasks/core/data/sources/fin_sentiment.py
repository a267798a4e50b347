"""fingpt-sentiment-train: a headline or tweet and its sentiment in one word."""

from tasks.core.data.chat import Chat, Drop, Row, Source, make_instruction_chat

SYSTEM = (
    "You classify the sentiment of financial text for the stocks it concerns. Answer with the"
    " label only."
)


def to_chat(row: Row) -> Chat | Drop:
    """The conversation of a row, or why the row is dropped."""
    return make_instruction_chat(row, needs_input=True)


FIN_SENTIMENT = Source(
    name="fin_sentiment",
    columns=(("input",), ("output",), ("instruction",)),
    system=SYSTEM,
    to_chat=to_chat,
)
