"""Sujet-Finance-Instruct-177k: one CSV of finance tasks."""

from tasks.core.data.chat import Chat, Drop, Row, Source, is_blank, make_chat


def to_chat(row: Row) -> Chat | Drop:
    """The conversation of a row, or why the row is dropped.

    If user_prompt is blank, inputs holds the question.
    """
    question = "user_prompt"
    if is_blank(row.get("user_prompt")) and "inputs" in row:
        question = "inputs"
    return make_chat(row, "system_prompt", question, "answer")


SUJET_FINANCE = Source(
    name="sujet_finance",
    columns=(("system_prompt",), ("user_prompt", "inputs"), ("answer",)),
    system=None,
    to_chat=to_chat,
)
