"""overnight_gap: which way to lean over night, how far, and when to be out again.

Question: the market's numbers, the S&P 500 move and the VIX, and ETFs that short the KOSPI or
lever it.
Right answer: a fund that shorts the KOSPI in a weak regime, a leveraged one in the others. The
effective exposure is 10 % of NAV, 5 more if the S&P 500 moved far in the position's own direction,
and 5 more for a short while the VIX is high; all of it is closed at the next open.
Mistake: a US move against the position adds to it, a VIX adds to a long, a fund's multiple is
forgotten, the lean is another regime's, or the position is held past the open.
Grade: any offered fund of the right group is right, with the weight that its multiple asks for, and
any maximum from there to the end of the band.
"""

from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Answer, Flaw, Grade, Needs, Scene
from tasks.core.kinds.korean import forms
from tasks.core.kinds.schemas import (
    OVERNIGHT,
    WORKING,
    Schema,
    arranged,
    closed,
    integer,
    one_of,
    stock_entry,
    text,
)
from tasks.core.kinds.words import words_beside
from tasks.core.records.facts import Facts, Language
from tasks.core.strategy.deciding import Choice, Decision, settled
from tasks.core.strategy.holdings import fund_order, multiple_of, offered_etfs
from tasks.core.strategy.rules import (
    HIGH_VIX,
    LARGE_US_MOVE_PCT,
    OVERNIGHT_PCT,
    OVERNIGHT_STEP_PCT,
    REGIMES,
    WEAK_REGIMES,
)
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.universe import etfs
from tasks.core.strategy.working import market_working

name = "overnight_gap"
share = 0.10
needs = Needs(
    funds=("short_kospi", "leveraged_kospi"),
    numbers=("us_return_pct", "vix"),
    asides=("usdkrw", "nav_100m_krw"),
)

# What it asks.

_WORDS = words_beside(__file__)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks for tonight's position in one of the scene's ETFs, and when to unwind it."""
    return wording.ask(scene, _WORDS.templates[scene.language])


# What the right answer is.

_LEAST, _MOST = OVERNIGHT_PCT
_GROUPS = {"INVERSE": "short_kospi", "LONG": "leveraged_kospi"}


@dataclass(frozen=True)
class _Size:
    """The effective exposure of a position of this direction, in % of NAV, and what it adds for the
    US move and for the VIX.
    """

    direction: str
    for_us: int
    for_vix: int

    @property
    def total(self) -> int:
        return _LEAST + self.for_us + self.for_vix


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides the overnight overlay in the first fund of the right group that the question
    offers.
    """
    regime = regime or stated_regime(facts)
    return _overlay(facts, regime, _size(facts, _direction(regime)))


def _direction(regime: str) -> str:
    return "INVERSE" if regime in WEAK_REGIMES else "LONG"


def _overlay(facts: Facts, regime: str, size: _Size, fund: str | None = None) -> Decision:
    """The overlay of this size; in another `fund`, if the question offers it and it is of the right
    group.
    """
    offered = offered_etfs(facts, _GROUPS[size.direction])
    order = fund_order(fund if fund in offered else offered[0], size.total)
    effective = abs(order["effective_pct"])
    return {
        "working": [market_working(facts, regime), *_steps(facts, regime, size, offered)],
        "overnight_strategy": {"direction": size.direction, **order},
        "unwind_plan": {"when": "NEXT_OPEN", "share_pct": 100},
        "max_overnight_nav_pct": Choice(effective, effective, _MOST),
    }


def _size(facts: Facts, direction: str) -> _Size:
    us, vix = facts.numbers["us_return_pct"], facts.numbers["vix"]
    inverse = direction == "INVERSE"
    in_its_direction = -us if inverse else us
    return _Size(
        direction,
        for_us=OVERNIGHT_STEP_PCT if in_its_direction >= LARGE_US_MOVE_PCT else 0,
        for_vix=OVERNIGHT_STEP_PCT if inverse and vix >= HIGH_VIX else 0,
    )


def _steps(facts: Facts, regime: str, size: _Size, offered: list[str]) -> list[str]:
    """The direction, the size, and the weight of every fund that it allows."""
    us, vix = facts.numbers["us_return_pct"], facts.numbers["vix"]
    inverse = size.direction == "INVERSE"
    weak = "weak" if inverse else "not weak"
    limit = f"<= -{LARGE_US_MOVE_PCT:g}" if inverse else f">= {LARGE_US_MOVE_PCT:g}"
    if not size.for_us:
        limit = f"not {limit}"
    us_step = f"S&P {us:.2f} {limit}: +{size.for_us}"
    return [
        f"{regime} {weak}: {size.direction}",
        f"{us_step}; {_vix_step(vix, size)}; {_LEAST}+{size.for_us}+{size.for_vix}={size.total}",
        *_weight_steps(offered, size.total),
    ]


def _vix_step(vix: float, size: _Size) -> str:
    if size.for_vix:
        return f"VIX {vix:.1f} >= {HIGH_VIX:g}: +{size.for_vix}"
    if size.direction == "LONG":
        return "LONG, no VIX: +0"
    return f"VIX {vix:.1f} not >= {HIGH_VIX:g}: +0"


def _weight_steps(offered: list[str], size: int) -> list[str]:
    """The weight and the exposure that each multiple makes, with the funds that have it."""
    steps = []
    for multiple in sorted({multiple_of(ticker) for ticker in offered}, reverse=True):
        tickers = [ticker for ticker in offered if multiple_of(ticker) == multiple]
        order = fund_order(tickers[0], size)
        weight, effective = order["weight_pct"], order["effective_pct"]
        steps.append(
            f"{', '.join(tickers)} {multiple}x: {size}/{abs(multiple)} up to {weight};"
            f" {weight}*{multiple}={effective}"
        )
    return steps


def _codes(multiple: int) -> str:
    funds = [etf for etf in etfs() if etf.group in _GROUPS.values()]
    return ", ".join(etf.ticker for etf in funds if etf.multiple == multiple)


card = f"""\
direction: INVERSE (a fund that shorts the KOSPI) in {", ".join(WEAK_REGIMES)}; else LONG \
(leveraged)
size, % of NAV: {_LEAST}; +{OVERNIGHT_STEP_PCT} if S&P 500 <= -{LARGE_US_MOVE_PCT:g} for INVERSE, \
>= {LARGE_US_MOVE_PCT:g} for LONG; +{OVERNIGHT_STEP_PCT} if INVERSE and VIX >= {HIGH_VIX:g}
funds: {_codes(-1)} -1x; {_codes(-2)} -2x; {_codes(2)} 2x; any offered one of the direction
side BUY; weight = size / |multiple|, rounded up; effective = weight * multiple
max_overnight_nav_pct: |effective| to {_MOST}; unwind NEXT_OPEN, share 100
working after the market's line, e.g.: "WEAKENING weak: INVERSE"; "S&P -1.20 <= -1: +5; VIX \
18.0 not >= 25: +0; 10+5+0=15" (LONG: "S&P 0.30 not >= 1: +0; LONG, no VIX: +0; 10+0+0=10"); a \
line for each multiple of the offered funds: "252670, 252710 -2x: 15/2 up to 8; 8*-2=-16"\
"""

schema: Schema = closed(
    working=WORKING,
    overnight_strategy=closed(
        reasoning=text(),
        direction=one_of(*_GROUPS),
        **stock_entry()["properties"],
        side=one_of("BUY"),
        weight_pct=integer(1, _MOST),
        effective_pct=integer(-2 * _MOST, 2 * _MOST),
    ),
    unwind_plan=closed(
        note=text(200), when=one_of("NEXT_OPEN", "NEXT_CLOSE"), share_pct=integer(0, 100)
    ),
    max_overnight_nav_pct=OVERNIGHT,
)

# How it is argued.


def answer(scene: Scene, rng: Random, regime: str | None = None) -> Answer:
    """Returns the overnight position and its unwinding, argued by the regime and the size's rule.

    With a `regime`, it is the answer of someone who takes the market to be in that one.
    """
    size = _size(scene.facts, _direction(regime or scene.regime))
    return _with_reasons(scene, size, rng, claimed=regime)


def _with_reasons(scene: Scene, size: _Size, rng: Random, claimed: str | None = None) -> Answer:
    """The overlay of this size as an answer, argued in the scene's language."""
    decision = _overlay(scene.facts, claimed or scene.regime, size)
    decision = wording.named(settled(decision), scene.language)
    position = decision["overnight_strategy"]
    reasons = [
        wording.ground(scene, rng, claimed=claimed),
        _us_reason(scene, size, rng),
        _vix_reason(scene, size, rng),
        _sum_reason(scene, position, size, rng),
    ]
    position["reasoning"] = " ".join(reason for reason in reasons if reason)
    bank = "note" if rng.random() < 0.75 else f"note_{size.direction}"
    note = rng.choice(_WORDS.texts[bank][scene.language])
    decision["unwind_plan"]["note"] = note.format(weight=position["weight_pct"])
    return arranged(decision, schema)


_WHY_SHARE = 0.4
"""Share of the sentences on the US move and the VIX that say why; a mistaken size has no why, and
must not be known by that.
"""


def _us_reason(scene: Scene, size: _Size, rng: Random) -> str:
    """What the US move adds, or why it adds nothing. A mistaken size has no why."""
    us = scene.facts.numbers["us_return_pct"]
    bank = "us_adds" if size.for_us else "us_none"
    says_why = rng.random() < _WHY_SHARE
    if says_why and size.for_us == _size(scene.facts, size.direction).for_us:
        bank = _us_why(us, size)
    return rng.choice(_WORDS.texts[bank][scene.language]).format(
        us=f"{us:+.2f}%", step=OVERNIGHT_STEP_PCT, limit=LARGE_US_MOVE_PCT
    )


def _us_why(us: float, size: _Size) -> str:
    """The bank of sentences that say why the US move adds what it does."""
    if size.for_us:
        return f"us_adds_{size.direction}"
    return f"us_against_{size.direction}" if abs(us) >= LARGE_US_MOVE_PCT else "us_small"


def _vix_reason(scene: Scene, size: _Size, rng: Random) -> str:
    """What the VIX adds to a short. A long takes nothing from it, and mostly leaves it unsaid."""
    vix = scene.facts.numbers["vix"]
    level = "high" if vix >= HIGH_VIX else "low"
    if size.direction == "LONG" and not size.for_vix and (level == "low" or rng.random() < 0.5):
        return ""
    bank = "vix_adds" if size.for_vix else "vix_none"
    says_why = size.direction == "LONG" or rng.random() < _WHY_SHARE
    if says_why and size.for_vix == _size(scene.facts, size.direction).for_vix:
        bank = f"vix_{level}_{size.direction}"
    return rng.choice(_WORDS.texts[bank][scene.language]).format(
        **forms("vix", f"{vix:.1f}"), step=OVERNIGHT_STEP_PCT, limit=f"{HIGH_VIX:g}"
    )


def _sum_reason(scene: Scene, position: dict[str, Any], size: _Size, rng: Random) -> str:
    """The size, and the weight that the fund's multiple makes of it."""
    multiple = multiple_of(position["ticker"])
    fund = "plain" if multiple == -1 else "geared"
    return rng.choice(_WORDS.texts[f"sum_{fund}"][scene.language]).format(
        size=size.total,
        weight=position["weight_pct"],
        effective=position["effective_pct"],
        multiple=multiple,
        fold=abs(multiple),
        **forms("name", position["name"]),
    )


# How it goes wrong.


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist leans the wrong way, adds what he
    should not, forgets the fund's multiple, or holds past the open. His words are those of the
    scene's own answer.
    """

    def mistake() -> Answer:
        slips = [_other_lean, _wrong_size]
        if rng.random() < 0.3:
            slips.append(_held_longer)
        if abs(multiple_of(right["overnight_strategy"]["ticker"])) > 1:
            slips.append(_multiple_forgotten)
        return rng.choice(slips)(scene, rng)

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def _other_lean(scene: Scene, rng: Random) -> Answer:
    """A position of another regime, which leans the other way."""
    lean = _direction(scene.regime)
    others = [regime for regime in REGIMES if _direction(regime) != lean]
    return answer(scene, Random(scene.seed), rng.choice(others))


def _wrong_size(scene: Scene, rng: Random) -> Answer:
    """A size that adds for the US move or the VIX what it should not, or fails to add it."""
    size = _size(scene.facts, _direction(scene.regime))
    if rng.random() < 0.5:
        wrong = replace(size, for_us=OVERNIGHT_STEP_PCT - size.for_us)
    else:
        wrong = replace(size, for_vix=OVERNIGHT_STEP_PCT - size.for_vix)
    return _with_reasons(scene, wrong, Random(scene.seed))


def _multiple_forgotten(scene: Scene, rng: Random) -> Answer:
    """A fund that moves twofold, bought as if it moved like its index."""
    careless = answer(scene, Random(scene.seed))
    position = careless["overnight_strategy"]
    size = _size(scene.facts, position["direction"]).total
    position["weight_pct"] = size
    position["effective_pct"] = -size if position["effective_pct"] < 0 else size
    careless["max_overnight_nav_pct"] = size
    return careless


def _held_longer(scene: Scene, rng: Random) -> Answer:
    """The right position, held past the open."""
    held = answer(scene, Random(scene.seed))
    held["unwind_plan"]["when"] = "NEXT_CLOSE"
    return held


# How it is graded.


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the direction, the fund with its weight, and the unwinding."""
    read, _ = grading.read(reply, schema)
    fund = read["overnight_strategy"]["ticker"] if read else None
    size = _size(scene.facts, _direction(scene.regime))
    return grading.judge(scene, reply, schema, _overlay(scene.facts, scene.regime, size, fund))
