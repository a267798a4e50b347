"""Whether the numbers of a text are true: each stands in the question under the name, the sign and
the owner that the text gives it, or is a limit, the answer's own, or follows from these.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tasks.core.kinds.judging.figures import DECLINERS, EXACT, LIMITS, Figures, quotes
from tasks.core.kinds.judging.sentences import Number, Sentence
from tasks.core.kinds.judging.slots import Slot
from tasks.core.kinds.lexicon import MARKET


class _Quoted(NamedTuple):
    """A number as one sentence quotes it."""

    number: Number
    slot: Slot
    sentence: Sentence
    owner: str | None

    @property
    def printed(self) -> str:
        sign = "+" if self.number.signed else ""
        return f"{self.number.value:{sign}.{self.number.decimals}f}"

    @property
    def about_what_may_be(self) -> bool:
        return self.sentence.sense.supposes or self.sentence.sense.of_limits

    @property
    def leads_on(self) -> bool:
        """Whether the next number is said to be beyond this one."""
        return bool(self.slot.beyond) and self.slot.of_next

    def says(self, value: float) -> bool:
        """Whether the number is this value, with its sign: one without a sign is a loss if a word
        of losing stands by it, and is none if the text says that something fell by it.
        """
        if value < 0 and not self.number.signed:
            size = Number(abs(self.number.value), self.number.decimals, False)
            return self.slot.falls and quotes(size, -value)
        if not quotes(self.number, value):
            return False
        fell = self.slot.moved == "down" and value > 0
        return not fell or self.number.signed or self.about_what_may_be


def number_faults(sentence: Sentence, owner: str | None, figures: Figures) -> Iterator[str]:
    """Yields what is wrong with each number of a sentence, and with what it is said to pass."""
    before: _Quoted | None = None
    for number, slot in zip(sentence.numbers, sentence.sense.slots, strict=True):
        quoted = _Quoted(number, slot, sentence, _owner(slot, sentence, owner, figures))
        fault = _fault(quoted, figures, owner)
        if fault:
            yield fault
        if before and before.leads_on and not _is_beyond(before, number.value):
            yield f"{quoted.printed} is not {before.slot.beyond} {before.printed}"
        if slot.beyond and not quoted.leads_on and not _passes(quoted, before, figures):
            yield f"what it compares is not {slot.beyond} {quoted.printed}"
        before = quoted


def quotes_question(sentences: tuple[Sentence, ...], owner: str | None, figures: Figures) -> bool:
    """Whether a text has a number of the question, be it right or wrong in sign."""
    sizes = {abs(value) for value in figures.stated(owner)}
    return any(abs(number.value) in sizes for found in sentences for number in found.numbers)


def _owner(slot: Slot, sentence: Sentence, owner: str | None, figures: Figures) -> str | None:
    """Returns the stock that a number is said of: the one named before it, else the text's."""
    if slot.name is not None:
        named = sentence.tickers[slot.name]
        if named in figures.of_stocks:
            return named
    return owner


def _fault(quoted: _Quoted, figures: Figures, entry: str | None) -> str | None:
    slot, number = quoted.slot, quoted.number
    called = figures.named(slot.label, quoted.owner) if slot.label else ()
    if any(quoted.says(value) for value in called) or _is_distance(quoted, figures):
        return None
    fell = slot.falls and slot.label in (None, "breadth_pct")  # "28.7% of the names fell"
    if fell and quotes(number, 100 - figures.of_market["breadth_pct"][0]):
        return None
    if called and figures.works_out(str(slot.label), number):
        return None
    if number.value and any(quotes(_bare(number), abs(value)) for value in called):
        return f"{quoted.printed} has another sign than the {slot.label} of the question"
    other = _mislabelled(quoted, figures)
    if other:
        return f"{quoted.printed} is the {other} of the question"
    if called and _binds(quoted, figures):
        if _is_of_rule(quoted, figures) or _is_derived(quoted, figures):
            return None
        return f"the {slot.label} is not {quoted.printed}"
    return _unnamed_fault(quoted, figures, entry)


def _binds(quoted: _Quoted, figures: Figures) -> bool:
    """Whether a number's name leaves it no other value: it is the market's or a stock's own."""
    label, owner = quoted.slot.label, quoted.owner
    if label in MARKET or label == DECLINERS:
        return not figures.has_own_return(owner)
    return label in figures.of_stocks.get(owner or "", {})


_OF_DISTANCES = ("%p", "point")


def _is_derived(quoted: _Quoted, figures: Figures) -> bool:
    """Whether the number follows from others in a sentence that says so."""
    says_so = quoted.slot.unit in _OF_DISTANCES or "derived" in quoted.sentence.sense.means
    return says_so and figures.follows(quoted.number)


def _unnamed_fault(quoted: _Quoted, figures: Figures, entry: str | None) -> str | None:
    number, owner = quoted.number, quoted.owner
    if _is_stated(quoted, figures):
        return None
    if entry is None and number.decimals == 0 and figures.has(number, quoted.slot.unit):
        return None
    if entry is not None and not number.signed and figures.is_told_of(number, str(owner)):
        return None
    if _is_of_size(quoted, figures) and not _is_derived(quoted, figures):
        return f"{quoted.printed} has another sign in the question"
    if _is_limit(quoted, figures) or _is_derived(quoted, figures):
        return None
    if entry is not None and figures.is_of_another(number, str(owner)):
        return f"{quoted.printed} is another stock's"
    counts = not quoted.slot.unit and number.decimals == 0 and abs(number.value) <= _MOST_COUNTED
    if counts or figures.has(number, quoted.slot.unit):
        return None
    return f"{quoted.printed} stands neither in the question nor in the rules"


def _is_stated(quoted: _Quoted, figures: Figures) -> bool:
    """Whether the question states the number, which no whole number rounds."""
    number, stated = quoted.number, figures.stated(quoted.owner)
    if number.value in stated and not quoted.slot.moved:
        return True
    if number.decimals == 0 and abs(number.value) not in figures.sizes(quoted.owner):
        return False
    return any(quoted.says(value) for value in stated)


_MOST_COUNTED = 10
"""A whole number up to this one counts something, unless it has a unit or a name."""


def _is_distance(quoted: _Quoted, figures: Figures) -> bool:
    """Whether the number says how far the market is from a limit."""
    if quoted.number.signed or not quoted.about_what_may_be:
        return False
    return any(abs(quoted.number.value - distance) < EXACT for distance in figures.distances)


def _bare(number: Number) -> Number:
    return Number(abs(number.value), number.decimals, False)


def _mislabelled(quoted: _Quoted, figures: Figures) -> str | None:
    """Returns the name of the stated number that the text calls by another name."""
    slot = quoted.slot
    names = {slot.label} if slot.label else set(slot.nearby)
    if len(names) != 1:
        return None
    unstated = not figures.named(str(min(map(str, names))), quoted.owner)
    if unstated and (not slot.label or slot.label == "drawdown_pct"):  # a day's fall is one too
        return None
    others = figures.names_of(quoted.number, quoted.owner)
    if not others or others & names:
        return None
    return min(others)


def _is_of_rule(quoted: _Quoted, figures: Figures) -> bool:
    """Whether a number that a text calls one of the market's is a limit that it speaks of, is
    or is passed by it.
    """
    slot = quoted.slot
    if slot.beyond and not quoted.sentence.sense.supposes:
        return True
    return quoted.about_what_may_be and bool(
        _as_limits(quoted) & {*LIMITS.get(str(slot.label), ())}
    )


def _as_limits(quoted: _Quoted) -> set[float]:
    """Returns the limits that the number may be: with its sign, or that of a loss without it.
    Limits have no needless decimals.
    """
    number = quoted.number
    if number.decimals > (0 if number.value.is_integer() else 1):
        return set()
    if quoted.slot.falls and not number.signed:
        return {number.value, -number.value}
    return {number.value}


_OF_INDEX = frozenset(("market", "up", "down", "loss"))


def _is_limit(quoted: _Quoted, figures: Figures) -> bool:
    """Whether the number is a limit of the rules, with its sign, or that of a loss without it.

    A limit of the regime's rule is quoted where the market is spoken of; where one of its numbers
    is, and what it may do, the limit is that number's.
    """
    sense, values = quoted.sentence.sense, _as_limits(quoted)
    if values & figures.other_limits:
        return True
    named = set(sense.means & MARKET.keys())
    if sense.supposes and len(named) == 1:
        return quoted.number.value in LIMITS[min(named)]
    if sense.means & _OF_INDEX:
        named.add("return_pct")
    if not named and "verdict" in sense.means:
        named = set(MARKET)
    return any(values & {*LIMITS[name]} for name in named)


def _is_of_size(quoted: _Quoted, figures: Figures) -> bool:
    """Whether a stated number has these digits, which neither a limit nor the answer has."""
    number = quoted.number
    if number.value in figures.limits or number.value in figures.told:
        return False
    if number.decimals == 0 and figures.has(number):
        return False
    return abs(number.value) in figures.sizes(quoted.owner)


_OF_EITHER_SIGN = {"us_return_pct", "usdkrw"}  # rules.LARGE_US_MOVE_PCT, WON_MOVE_PCT


def _passes(quoted: _Quoted, before: _Quoted | None, figures: Figures) -> bool:
    """Whether what is said to be above or below a number is. What is supposed or said of a loss is
    not looked at.
    """
    if quoted.sentence.sense.supposes or quoted.slot.falls:
        return True
    compared = _compared(quoted, before, figures)
    if compared is None:
        return True
    if quoted.number.value > 0 and compared.names <= _OF_EITHER_SIGN:
        return _is_beyond(quoted, abs(compared.value))
    return _is_beyond(quoted, compared.value)


class _Compared(NamedTuple):
    """A value that a text puts above or below a number, and what it may be called."""

    value: float
    names: set[str]


def _compared(quoted: _Quoted, before: _Quoted | None, figures: Figures) -> _Compared | None:
    """Returns the one value that the text names, or else the number before; None if there is none,
    or none that the question states.
    """
    slot = quoted.slot
    named = {slot.label} if slot.label else {*slot.nearby}
    if len(named) == 1:
        label = str(min(map(str, named)))
        values = figures.named(label, quoted.owner)
        if len(values) != 1 or "shock" in figures.facts.words:  # a shock moves what is compared
            return None
        return _Compared(values[0], {label})
    if named or before is None or before.slot.unit != slot.unit:
        return None
    called = figures.names_of(before.number, quoted.owner)
    if before.slot.label:
        called = {before.slot.label}
    return _Compared(before.number.value, called) if called else None


def _is_beyond(limit: _Quoted, value: float) -> bool:
    """Whether a value is on the side of a limit on which the text puts it."""
    if limit.slot.beyond == "above":
        return value >= limit.number.value
    return value <= limit.number.value
