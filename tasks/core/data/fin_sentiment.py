"""fingpt-sentiment-train: a headline or tweet and its sentiment in one word."""

from tasks.core.data.chat import Chat, Drop, Row, Source, make_instruction_chat

SYSTEM = "You classify the sentiment of financial text for the stocks it concerns. Answer with the label only."


def to_chat(row: Row) -> Chat | Drop:
    return make_instruction_chat(row, needs_input=True)


FIN_SENTIMENT = Source(
    "fin_sentiment", (("input",), ("output",), ("instruction",)), SYSTEM, to_chat
)
