"""A question of an evaluation, a reply to one, and the reply's marks: what asking, grading and
showing share.
"""

from dataclasses import dataclass
from typing import Any

Mark = dict[str, float | None]
"""Every measure of one reply by its name (measures.MEASURES), 0..1; None if the question does not
ask for it.
"""

CALL, TEXT = "tool_calls", "text"
"""The kinds of a row's questions: what is due is a call, or a text."""

MIN_REPLY_TOKENS = 256
"""A reply may have so many tokens, however short the right answer is."""


@dataclass(frozen=True)
class Question:
    """One question with all that is needed to ask it and to grade any reply to it."""

    id: str
    kind: str  # of the strategy, or CALL or TEXT of a row
    language: str  # ko or en
    date: str | None  # the day it names, YYYY-MM-DD
    messages: list[dict[str, str]]  # system, user; a row's may be longer
    schema: dict[str, Any] | None  # JSON Schema of the answer; None binds the reply to nothing
    reference: str  # the right answer's text
    scene: dict[str, Any]  # kinds.base.scene_to_dict of what was asked about; {} for a row
    most_tokens: int = 4_096  # whatever the right answer's length (settings.Evaluation.max_tokens)
    twin_of: str | None = None  # the id of the question that this one is a counterfactual of
    change: str | None = None  # what was changed there (twins.Change)

    @property
    def of_a_row(self) -> bool:
        """Whether it is a question of a row that was kept from training, about no scene."""
        return self.kind in (CALL, TEXT)

    @property
    def day(self) -> str | None:
        """The real day whose numbers it states, whether it names the day or not."""
        return self.scene.get("day") or self.date

    @property
    def max_tokens(self) -> int:
        """The most tokens that a reply may have: one for each byte of the right answer. Every
        byte-level tokenizer needs fewer.

        Measured with SmolLM2's: 0.33 to 0.48 tokens a byte in English, 0.60 to 0.70 in Korean. The
        limit ends a model that rambles, and cuts none that answers.
        """
        return min(self.most_tokens, max(MIN_REPLY_TOKENS, len(self.reference.encode())))


@dataclass(frozen=True)
class Reply:
    """One reply as it came; `text` is stripped, because a grammar lets a model fill the end with
    white space.
    """

    text: str
    latency_s: float  # from sending the request to the whole reply
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str  # stop, or length if max_tokens cut it


def days_of(questions: list[Question]) -> list[str]:
    """Returns each question's day, which the intervals are drawn over. A question about no real day
    is a day of its own, together with its twins; so is a row, with all its questions.
    """
    return [_day_of(question) for question in questions]


def _day_of(question: Question) -> str:
    if question.of_a_row:
        return question.id.rpartition("-")[0]
    return question.day or question.twin_of or question.id
