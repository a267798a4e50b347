"""What a question states of the market, as the strategy's rule sees it."""

from tasks.core.records.facts import Facts
from tasks.core.strategy.rules import NEUTRAL, NUMBERS, regime_of


def known_numbers(facts: Facts) -> dict[str, float]:
    """Returns the market's four numbers as the rule sees them: missing ones are neutral."""
    return {name: facts.numbers.get(name, NEUTRAL[name]) for name in NUMBERS}


def stated_regime(facts: Facts) -> str:
    """Returns the rule's regime of the numbers that the question states."""
    return regime_of(**known_numbers(facts))


def missing_numbers(facts: Facts) -> list[str]:
    """Returns which of the market's four numbers the question does not state."""
    return [name for name in NUMBERS if name not in facts.numbers]
