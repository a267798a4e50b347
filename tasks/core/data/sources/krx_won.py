"""Won-Instruct: Korean questions on finance, accounting and the KRX's markets.

The original response is the answer.
"""

from tasks.core.data.chat import Chat, Drop, Row, Source, make_chat

SYSTEM = "당신은 한국 시장을 다루는 금융 애널리스트입니다. 정확하고 간결하게 답하십시오."


def to_chat(row: Row) -> Chat | Drop:
    """The conversation of a row, or why the row is dropped."""
    return make_chat(row, None, "prompt", "original_response")


KRX_WON = Source(
    name="krx_won",
    columns=(("prompt",), ("original_response",)),
    system=SYSTEM,
    to_chat=to_chat,
)
