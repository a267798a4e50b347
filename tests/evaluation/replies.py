"""Replies and figures of made-up models."""

from tasks.core.evaluation.evaluated import Evaluated
from tasks.core.evaluation.records import Reply


def reply(text, seconds=2.0, finish="stop"):
    return Reply(text, seconds, prompt_tokens=100, completion_tokens=50, finish_reason=finish)


def evaluated(questions, **wrong):
    """Models by name; the first so many replies of each are no JSON, and the others are right."""
    result = Evaluated(questions)
    for model, number_wrong in wrong.items():
        replies = []
        for number, question in enumerate(questions):
            replies.append(reply("no" if number < number_wrong else question.reference))
        result.add(model, replies)
    return result
