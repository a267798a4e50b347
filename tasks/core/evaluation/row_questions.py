"""A model's free replies to the questions of training rows: model rejects are chosen from them.

Reads and appends to a JSONL of replies, as answer.ask_all does.
"""

from pathlib import Path
from typing import Any

from tasks.core.evaluation.answer import Endpoint, Options, ask_all
from tasks.core.evaluation.records import Question
from tasks.core.records.artifacts import Progress

_TEMPERATURE = 0.7


def ask_rows(
    endpoint: Endpoint, rows: list[dict[str, Any]], cache: Path, progress: Progress
) -> list[str | None]:
    """Returns the model's sampled replies to the rows' questions; None stands for one that the
    token limit cut.

    No schema binds them: a reply that is no JSON is a reject too. Replies are kept in `cache`, and
    a question whose reply is there is not asked again.
    """
    questions = [_question(number, row) for number, row in enumerate(rows, 1)]
    replies = ask_all(endpoint, questions, cache, progress, Options(temperature=_TEMPERATURE))
    texts = []
    for reply in replies:
        cut = reply.finish_reason == "length"
        texts.append(None if cut else reply.text)
    return texts


def _question(number: int, row: dict[str, Any]) -> Question:
    metadata = row["metadata"]
    messages = row["messages"]
    return Question(
        id=f"row-{number}",
        kind=metadata["kind"],
        language=metadata["language"],
        date=metadata["date"],
        messages=messages[:2],
        schema=None,
        reference=messages[2]["content"],
        scene=metadata["scene"],
    )
