"""A text with its numbers and regimes taken out: what our sentences share, and what differs."""

import re

from tasks.core.strategy.rules import REGIMES

Value = float | str
"""A number, or a regime by its code."""

MARK = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands for a number or a regime."""

PARTICLES = (
    *("이었다", "였다", "이라는", "라는", "이라", "라", "이다", "다", "으로", "로"),
    *("은", "는", "이", "가", "을", "를", "과", "와"),
)
"""What Korean puts behind a number or a name, as its sound takes it; the longer ones first."""

_VALUE = rf"(?<![A-Za-z0-9_.])[+-]?\d+(?:,\d{{3}})*(?:\.\d+)?|{'|'.join(REGIMES)}"
_TAIL = rf"%?p?(?: points)?(?:{'|'.join(PARTICLES)})*"
_STARTS = "".join(sorted({regime[0] for regime in REGIMES}))
# What a value begins with is looked for first, because the regex engine finds that fast.
IN_TEXTS = re.compile(rf"(?=[-+\d{_STARTS}])({_VALUE}){_TAIL}")
"""A number or a regime, with the sign of percent or points and the particle that are its own."""
IN_SKELETONS = re.compile(rf"([+-]?\{{\w+(?::\w+)?\}}|{_VALUE}){_TAIL}")
"""The same or a blank, in a published sentence."""
BETWEEN_SENTENCES = re.compile(r"(?<=[.!?])\s+")


def marked(text: str) -> tuple[str, list[Value]]:
    """Returns a text with a MARK for each number and regime, and these in their order."""
    parts = IN_TEXTS.split(text.replace(MARK, " "))
    return MARK.join(parts[::2]), [value_of(printed) for printed in parts[1::2]]


def value_of(printed: str) -> Value:
    """Returns what is printed as a regime, or else as a number."""
    return printed if printed in REGIMES else float(printed.replace(",", ""))
