"""regime_transition: from yesterday's regime to today's, in one or two days.

Question: the market's numbers, the previous regime and the current net exposure.
Right answer: the net exposure of today's regime as the target; a book that is inside the band of a
regime that stays is left as it is. A move of up to 10 points takes one day; of a larger one the
first day makes 70 % into stress or a bear market, and half otherwise.
Mistake: a move to another regime, no move where one is due, a first day that goes the wrong way or
too slowly, a target that the second day misses, or another haste.
Grade: the target may lie anywhere in the regime's band, day 2 is the target, and day 1 lies between
now and there; into stress or a bear market at least half of the way.
"""

from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Answer, Flaw, Grade, Needs, Scene
from tasks.core.kinds.cards import EXPOSURE_CARD
from tasks.core.kinds.korean import forms, with_particle
from tasks.core.kinds.schemas import NET, REGIME, WORKING, Schema, arranged, closed, one_of, text
from tasks.core.kinds.words import words_beside
from tasks.core.records.facts import Facts, Language
from tasks.core.strategy.deciding import Choice, Decision, exposures, settled
from tasks.core.strategy.rules import (
    CALM_FIRST_DAY_PCT,
    EXPOSURES,
    FAST_FIRST_DAY_PCT,
    SMALL_STEP_PCT,
    URGENT_REGIMES,
)
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.working import exposure_working, market_working

name = "regime_transition"
share = 0.07
needs = Needs(
    numbers=("net_now_pct",),
    words=("previous_regime",),
    asides=("nav_100m_krw", "sentiment_points"),
)

# What it asks.

_WORDS = words_beside(__file__)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks how to move the net exposure, and how fast."""
    return wording.ask(scene, _WORDS.templates[scene.language])


# What the right answer is.

_URGENCIES = ("IMMEDIATE", "GRADUAL", "NONE")


@dataclass(frozen=True)
class _Move:
    """The way of the net exposure, all in % of NAV."""

    previous: str
    regime: str
    now: int
    target: int
    first_day_pct: int  # of a large move
    keeps: bool = False  # the net is left as it is
    backwards: bool = False  # the first day goes the wrong way

    @property
    def urgency(self) -> str:
        if self.regime == self.previous:
            return "NONE"
        return "IMMEDIATE" if self.regime in URGENT_REGIMES else "GRADUAL"

    @property
    def size(self) -> int:
        return abs(self.target - self.now)

    @property
    def small(self) -> bool:
        return self.size <= SMALL_STEP_PCT

    @property
    def first_step(self) -> int:
        """The points of the first day, rounded half up."""
        if self.small:
            return self.size
        return (self.size * self.first_day_pct + 50) // 100

    @property
    def rises(self) -> bool:
        """Whether the first day goes up."""
        return (self.target > self.now) != self.backwards

    @property
    def first(self) -> int:
        """Where the first day ends."""
        return self.now + self.first_step if self.rises else self.now - self.first_step

    @property
    def pace(self) -> str:
        """Which words fit the first day."""
        if self.size == 0:
            return "stay"
        if self.small:
            return "small"
        return "fast" if self.first_day_pct == FAST_FIRST_DAY_PCT else "calm"


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides how fast the net exposure moves from the previous regime's to the present one's."""
    return _plan(facts, _move(facts, regime or stated_regime(facts)), regime)


def _move(facts: Facts, regime: str, target: int | None = None) -> _Move:
    """The move into a regime, to the taught target if no other is given."""
    now, previous = int(facts.numbers["net_now_pct"]), facts.words["previous_regime"]
    keeps = target is None and regime == previous and _in_band(regime, now)
    if target is None:
        target = now if keeps else exposures(regime, facts).net.value
    first_day = FAST_FIRST_DAY_PCT if regime in URGENT_REGIMES else CALM_FIRST_DAY_PCT
    return _Move(previous, regime, now, target, first_day, keeps)


def _in_band(regime: str, net: int) -> bool:
    low, high = EXPOSURES[regime].net
    return low <= net <= high


def _plan(facts: Facts, move: _Move, claimed: str | None = None) -> Decision:
    """The decision with this move. Its working is of the move that training teaches if the move is
    a reply's own.
    """
    return {
        "working": [market_working(facts, claimed), *_steps(facts, move)],
        "transition": {"from": move.previous, "to": move.regime},
        "urgency": move.urgency,
        "execution_plan": {
            "day_1": {"net_exposure_pct": _first_days(move)},
            "day_2": {"net_exposure_pct": move.target},
        },
        "target_net_exposure_pct": Choice(move.target, *EXPOSURES[move.regime].net),
    }


def _first_days(move: _Move) -> Choice:
    """The first day that is taught, and the others that are right: from now to the target, into
    stress or a bear market at least half of the way, and never no step at all of a large move.
    """
    least = 0 if move.small else 1
    if move.regime in URGENT_REGIMES and not move.small:
        least = (move.size + 1) // 2
    sign = 1 if move.target > move.now else -1
    slowest = move.now + sign * least
    return Choice(move.first, min(slowest, move.target), max(slowest, move.target))


def _steps(facts: Facts, move: _Move) -> list[str]:
    """From where to where, the target, and both days."""
    steps = [f"{move.previous} -> {move.regime}: {move.urgency}"]
    low, high = EXPOSURES[move.regime].net
    if move.keeps:
        return [*steps, f"net {move.now} in {low} to {high}: keep {move.now}"]
    steps.append(exposure_working(move.regime, facts))
    return [*steps, f"{move.target}-{_signed(move.now)}={move.target - move.now}; {_days(move)}"]


def _signed(net: int) -> str:
    return f"({net})" if net < 0 else str(net)


def _days(move: _Move) -> str:
    if move.small:
        return f"at most {SMALL_STEP_PCT}: day 1 {move.target}"
    step, sign = move.first_step, "+" if move.rises else "-"
    rest = move.target - move.first
    share = f"{move.size * move.first_day_pct / 100:.1f}"
    return (
        f"{move.first_day_pct}% of {move.size}={share}: {step}; "
        f"day 1 {move.now}{sign}{step}={move.first}; day 2 {move.first}{rest:+d}={move.target}"
    )


card = f"""\
urgency: NONE if the regime stays, IMMEDIATE into {" or ".join(URGENT_REGIMES)}, else GRADUAL
target: a net already in the band of a regime that stays is kept; else a net in the new band
{EXPOSURE_CARD}
day 1: all of a move of at most {SMALL_STEP_PCT} points; else {FAST_FIRST_DAY_PCT}% of it into \
{" or ".join(URGENT_REGIMES)} (half or more is right), {CALM_FIRST_DAY_PCT}% otherwise (a point or \
more is right), rounded half up
day 2: the target; target_net_exposure_pct is day 2
working after the market's line: "WEAKENING -> STRONG_BULL: GRADUAL"; "long 100+30*74.0%=122; \
short 0; net 122-0=122"; "122-62=60; 50% of 60=30.0: 30; day 1 62+30=92; day 2 92+30=122" or \
"net 91 in 80 to 100: keep 91"\
"""

# How it is argued.

_LEAST_NET, _MOST_NET = NET["minimum"], NET["maximum"]
_DAY = closed(note=text(200), net_exposure_pct=NET)
schema: Schema = closed(
    working=WORKING,
    transition=closed(**{"from": REGIME, "reasoning": text(), "to": REGIME}),
    urgency=one_of(*_URGENCIES),
    execution_plan=closed(day_1=_DAY, day_2=_DAY),
    target_net_exposure_pct=NET,
)


def answer(scene: Scene, rng: Random, regime: str | None = None) -> Answer:
    """Returns the transition, the target and a plan of two days, argued in the scene's language.

    With a `regime`, it is the answer of someone who takes the market to be in that one.
    """
    return _with_reasons(scene, _move(scene.facts, regime or scene.regime), rng, regime)


def _with_reasons(scene: Scene, move: _Move, rng: Random, claimed: str | None = None) -> Answer:
    """The move as an answer, argued in the scene's language."""
    decision = settled(_plan(scene.facts, move, claimed))
    reasons = [
        _transition_in_words(move, scene.language, rng),
        wording.argue(scene, rng, claimed=claimed),
    ]
    if rng.random() < 0.7:
        reasons.reverse()
    decision["transition"]["reasoning"] = " ".join(reasons)
    plan = decision["execution_plan"]
    plan["day_1"]["note"] = _first_note(move, scene.language, rng)
    plan["day_2"]["note"] = _second_note(move, scene.language, rng)
    return arranged(decision, schema)


def _transition_in_words(move: _Move, language: Language, rng: Random) -> str:
    """From which regime to which, or that the regime stays."""
    change = "stays" if move.previous == move.regime else "moves"
    return rng.choice(_WORDS.texts[change][language]).format(
        **forms("before", move.previous),
        before_past=with_particle(move.previous, "이었다/였다"),
        **forms("to", move.regime),
    )


def _first_note(move: _Move, language: Language, rng: Random) -> str:
    """How far the first day goes, and at times by what means."""
    sentences = [rng.choice(_WORDS.texts[f"first_{move.pace}"][language])]
    if move.size and rng.random() < 0.5:
        sentences.append(rng.choice(_WORDS.texts[f"means_{_way(move)}"][language]))
    return " ".join(sentences).format(**_blanks(move))


def _second_note(move: _Move, language: Language, rng: Random) -> str:
    """What is left for the second day."""
    case = f"second_{_way(move)}"
    if move.first == move.target:
        case = "second_stay" if move.pace == "stay" else "second_done"
    return rng.choice(_WORDS.texts[case][language]).format(**_blanks(move))


def _way(move: _Move) -> str:
    return "up" if move.target > move.now else "down"


def _blanks(move: _Move) -> dict[str, int]:
    return {
        "now": move.now,
        "first": move.first,
        "target": move.target,
        "size": move.size,
        "step": move.first_step,
        "rest": move.size - move.first_step,
    }


# How it goes wrong.


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist moves to another regime, in another
    haste, not at all, the wrong way, too slowly, or not as far as the target. His words are those
    of the scene's own answer.
    """

    def mistake() -> Answer:
        move = _move(scene.facts, scene.regime)
        slips = [_to_another_regime, _in_another_haste]
        if move.regime != move.previous and not _in_band(move.regime, move.now):
            slips.append(_left_as_it_is)
        if not move.small:
            slips.append(_short_of_the_target)
        if not move.small and _LEAST_NET <= 2 * move.now - move.first <= _MOST_NET:
            slips.append(_the_wrong_way)
        if move.pace == "fast":
            slips.append(_too_slow)
        return rng.choice(slips)(scene, move, rng)

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def _to_another_regime(scene: Scene, move: _Move, rng: Random) -> Answer:
    """The move of someone who takes the market to be in another regime."""
    other = spoiling.other_regime(move.regime, rng)
    return answer(scene, Random(scene.seed), other)


def _in_another_haste(scene: Scene, move: _Move, rng: Random) -> Answer:
    """The right working, and an urgency that does not follow from it."""
    careless = answer(scene, Random(scene.seed))
    others = [urgency for urgency in _URGENCIES if urgency != careless["urgency"]]
    careless["urgency"] = rng.choice(others)
    return careless


def _left_as_it_is(scene: Scene, move: _Move, rng: Random) -> Answer:
    """No move at all, as if the net lay in the new band."""
    kept = replace(move, target=move.now, keeps=True)
    return _with_reasons(scene, kept, Random(scene.seed))


def _the_wrong_way(scene: Scene, move: _Move, rng: Random) -> Answer:
    """A first day that adds what it should take off, or the other way round."""
    return _with_reasons(scene, replace(move, backwards=True), Random(scene.seed))


def _too_slow(scene: Scene, move: _Move, rng: Random) -> Answer:
    """On the first day what an urgent move leaves for the second."""
    slow = replace(move, first_day_pct=100 - FAST_FIRST_DAY_PCT)
    return _with_reasons(scene, slow, Random(scene.seed))


def _short_of_the_target(scene: Scene, move: _Move, rng: Random) -> Answer:
    """A second day that stays where the first one ended."""
    careless = answer(scene, Random(scene.seed))
    careless["execution_plan"]["day_2"]["net_exposure_pct"] = move.first
    return careless


# How it is graded.


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the regimes, the urgency, the target and both days, for the reply's own target if that
    lies in the band.
    """
    right = decide(scene.facts)
    read, _ = grading.read(reply, schema)
    if read and _in_band(scene.regime, read["target_net_exposure_pct"]):
        own = _move(scene.facts, scene.regime, read["target_net_exposure_pct"])
        right = {**_plan(scene.facts, own), "working": right["working"]}
    return grading.judge(scene, reply, schema, right)
