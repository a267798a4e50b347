"""Replies and figures of made-up models."""

from tasks.core.evaluation.records import Reply
from tasks.core.evaluation.score import score


def reply(text, seconds=2.0, finish="stop"):
    return Reply(text, seconds, prompt_tokens=100, completion_tokens=50, finish_reason=finish)


def scores_of(questions, wrong):
    """Figures of a model whose first `wrong` replies are no JSON, and whose others are right."""
    replies = []
    for number, question in enumerate(questions):
        replies.append(reply("no" if number < wrong else question.reference))
    return score(questions, replies)
