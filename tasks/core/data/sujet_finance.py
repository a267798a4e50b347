"""Sujet-Finance-Instruct-177k: one CSV of finance tasks. Where user_prompt is blank, inputs holds
the question.
"""

from tasks.core.data.chat import Chat, Drop, Row, Source, make_chat


def to_chat(row: Row) -> Chat | Drop:
    prompt = row.get("user_prompt")
    blank = prompt is None or (isinstance(prompt, str) and not prompt.strip())
    question = "inputs" if blank and "inputs" in row else "user_prompt"
    return make_chat(row, "system_prompt", question, "answer")


SUJET_FINANCE = Source(
    "sujet_finance", (("system_prompt",), ("user_prompt", "inputs"), ("answer",)), None, to_chat
)
