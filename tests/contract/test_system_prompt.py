"""What SYSTEM states is what the code decides."""

import re
from random import Random

import pytest

from tasks.core.kinds.base import REGIME_RULE, system_prompt
from tasks.core.strategy.rules import EXPOSURES, NUMBERS, THRESHOLDS, rule_of

_LETTERS = dict(zip("rbmv", NUMBERS, strict=True))


def holds(condition: str, numbers: dict[str, float]) -> bool:
    """Whether a condition of the prompt, such as r<-2 or 35<=b<=50, holds."""
    names = {letter: numbers[name] for letter, name in _LETTERS.items()}
    return bool(eval(condition, {"__builtins__": {}}, names))  # the prompt's own text


def regime_by_the_prompt(numbers: dict[str, float]) -> tuple[int, str]:
    *rules, last = REGIME_RULE.splitlines()[1:]
    for rule in rules:
        number, regime, conditions = re.fullmatch(r"(\d) ([A-Z_]+): (.*)", rule).groups()
        if all(holds(condition, numbers) for condition in conditions.split(", ")):
            return int(number), regime
    for condition, regime in re.findall(r"(r\S+) ([A-Z_]+)", last):
        if holds(condition, numbers):
            return 6, regime
    raise AssertionError("no rule of the prompt holds")


def test_the_rule_of_the_prompt_is_the_rule_of_the_code():
    rng = Random(1)
    limits = {name: [limit for of, limit in THRESHOLDS if of == name] for name in NUMBERS}
    for _ in range(3_000):
        numbers = {
            name: round(rng.choice(limits[name]) + rng.choice((-0.1, 0.0, 0.1, -3.0, 3.0)), 2)
            for name in NUMBERS
        }
        assert regime_by_the_prompt(numbers) == rule_of(**numbers), numbers


@pytest.mark.parametrize("language", ["ko", "en"])
def test_all_but_the_first_sentence_is_the_same_ascii(language):
    first, *rest = system_prompt(language).splitlines()
    assert rest == system_prompt("en").splitlines()[1:]
    assert all(line.isascii() for line in rest)
    for regime, bands in EXPOSURES.items():
        line = next(line for line in rest if line.startswith(f"{regime}: "))
        for end in {*bands.long_gross, *bands.index_short, *bands.net}:
            assert str(end) in line
