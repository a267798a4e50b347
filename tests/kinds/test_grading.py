"""What each kind's grader sees."""

import json
from random import Random

from tasks.core.kinds.texts import to_text
from tasks.core.strategy.universe import stocks


def answered(of_kind, scene):
    return json.loads(to_text(of_kind.answer(scene, Random(1))))


def parts_after(of_kind, scene, change):
    """The failed parts of the right answer with one change made to it."""
    answer = answered(of_kind, scene)
    change(answer)
    return {
        part for part, passed in of_kind.grade(scene, to_text(answer)).parts.items() if not passed
    }


def outsider(scene):
    """A stock that exists and that the prompt does not offer."""
    offered = {stock.ticker for stock in scene.facts.stocks}
    return next(stock for stock in stocks() if stock.ticker not in offered)
