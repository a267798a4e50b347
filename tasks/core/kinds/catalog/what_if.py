"""what_if: the regime after a shock, and the book that fits it.

Question: the market's numbers, and a shock with its size.
Right answer: the shock moves the four numbers by the strategy's table; the rule gives the regime of
what results, and that regime the long gross, the hedge and the net. Cut or add if the regime
changes. The hedge is a fund that is bought: one that shorts the KOSPI, or US shares where the shock
comes from there.
Mistake: a number that the shock does not move, a wrong comparison, today's book kept, or an action
that does not follow.
Grade: any long gross, index short and net in the bands of the regime after the shock is right if
they add up, and so is any fund that shorts what the shock hits.
"""

from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Answer, Flaw, Grade, Needs, Scene
from tasks.core.kinds.cards import EXPOSURE_CARD
from tasks.core.kinds.korean import forms
from tasks.core.kinds.lexicon import printed
from tasks.core.kinds.schemas import (
    INDEX_SHORT,
    LONG_GROSS,
    NET,
    REGIME,
    WORKING,
    Schema,
    arranged,
    closed,
    integer,
    listed,
    one_of,
    stock_entry,
    text,
)
from tasks.core.kinds.words import words_beside
from tasks.core.records.facts import Facts, Language
from tasks.core.strategy.deciding import Decision, exposures, settled
from tasks.core.strategy.holdings import are_funds_of, fund_order, hedges, knows_multiples
from tasks.core.strategy.rules import (
    DECIMALS,
    EXPOSURES,
    NUMBERS,
    SHOCKS,
    carries_longs,
    regime_of,
    shocked,
)
from tasks.core.strategy.stated import known_numbers, stated_regime
from tasks.core.strategy.universe import Group, etfs, find_etf
from tasks.core.strategy.working import exposure_working, market_working, orders_working

name = "what_if"
share = 0.06
needs = Needs(numbers=("shock_pct",), words=("shock",), asides=("vix", "usdkrw", "nav_100m_krw"))

# What it asks.

_WORDS = words_beside(__file__)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks what the scene's shock does to the regime, and how to answer it."""
    return wording.ask(scene, _WORDS.templates[scene.language])


# What the right answer is.

_ACTIONS = ("CUT", "ADD", "KEEP")
_FROM_THE_US = "us_selloff"
"""The shock whose view is of the US."""
_US_SHORT = next(etf.ticker for etf in etfs() if etf.group == "inverse_us")


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides what a shock would make of the regime; a `regime` is taken for the one after it."""
    return _decision(facts, _after(facts), regime)


def _after(facts: Facts) -> dict[str, float]:
    """The market's numbers after the shock."""
    return shocked(known_numbers(facts), facts.words["shock"], facts.numbers["shock_pct"])


def _decision(
    facts: Facts, numbers_after: dict[str, float], regime: str | None, book: str | None = None
) -> Decision:
    """The decision for these numbers after the shock; a `book` is the regime whose book it names,
    if that is not the regime after the shock.
    """
    before, after = stated_regime(facts), regime or regime_of(**numbers_after)
    market_after = Facts(numbers_after)
    held = book or after
    allowed = exposures(held, market_after)
    hedge = _hedge(facts.words["shock"], held, allowed.index_short.value)
    action = _shock_action(before, after)
    return {
        "working": [
            market_working(facts),
            _shock_step(facts, numbers_after),
            market_working(market_after, regime),
            f"{before} -> {after}: {action}",
            exposure_working(held, market_after),
            *[f"hedge {orders_working([order])}" for order in hedge],
        ],
        "scenario_analysis": {
            "shock": facts.words["shock"],
            "regime_now": before,
            "regime_after": after,
        },
        "recommended_action": {"action": action, "net_exposure_pct": allowed.net},
        "positions": {
            "long_gross_pct": allowed.long_gross,
            "index_short_pct": allowed.index_short,
            "hedge": hedge,
        },
    }


def _shock_step(facts: Facts, numbers_after: dict[str, float]) -> str:
    """What the shock adds to each number, and what results: a sum, and behind it the end of the
    breadth's range that the sum has passed.
    """
    shock, size = facts.words["shock"], facts.numbers["shock_pct"]
    numbers = known_numbers(facts)
    steps = []
    for number, effect in zip(NUMBERS, SHOCKS[shock], strict=True):
        decimals = DECIMALS[number]
        change = round(effect * size, decimals) + 0.0
        product = f"{effect:g}*{size:.1f}={change:.{decimals}f}"
        total = round(numbers[number] + change, decimals) + 0.0
        added = f"{numbers[number]:.{decimals}f}{change:+.{decimals}f}={total:.{decimals}f}"
        step = f"{number.removesuffix('_pct')} {product}, {added}"
        if total != numbers_after[number]:
            step = f"{step}: {numbers_after[number]:.{decimals}f}"
        steps.append(step)
    return f"{shock}: {'; '.join(steps)}"


def _hedge(shock: str, after: str, index_short: int) -> list[dict[str, Any]]:
    """The order of the fund that training teaches, none if nothing is shorted.

    Longs are hedged where the shock comes from. Without longs the short is a view of the KOSPI.
    """
    if not index_short:
        return []
    from_the_us = shock == _FROM_THE_US and carries_longs(after)
    return [fund_order(_US_SHORT if from_the_us else hedges()[0], index_short)]


def _shock_action(before: str, after: str) -> str:
    """Returns KEEP if the regime stays, CUT if it allows less to be held net than the one before,
    and ADD if more.
    """
    if after == before:
        return "KEEP"
    if EXPOSURES[after].net[1] < EXPOSURES[before].net[1]:
        return "CUT"
    return "ADD"


def _effects() -> str:
    lines = []
    for shock, effects in SHOCKS.items():
        lines.append(f"{shock} {', '.join(f'{effect:g}' for effect in effects)}")
    return "\n".join(lines)


card = f"""\
each point of the shock adds to return, breadth, momentum, volatility (breadth stays in 0..100):
{_effects()}
the rule on the numbers after the shock gives regime_after, its bands the book, by the breadth and
volatility after the shock
{EXPOSURE_CARD}
action: KEEP if the regime stays, CUT if the top of its net band is lower, else ADD
net = long_gross - index_short; hedge: funds bought (side BUY) whose weight * multiple sums to \
-index_short; none if that is 0
funds: {hedges()[0]} -1x or another that shorts the KOSPI; beside longs after {_FROM_THE_US}: \
{_US_SHORT} -1x or another inverse US fund
working: the market's line; "index_drop: return -1*3.0=-3.00, 0.40-3.00=-2.60; breadth \
-6*3.0=-18.0, 55.0-18.0=37.0; ..." (below 0: "12.0-18.0=-6.0: 0.0"); the line of the \
numbers after it; "MILD_BULL -> WEAKENING: CUT"; "long 60+20*37.0%=67; short \
20-10*37.0%=16; net 67-16=51"; "hedge {hedges()[0]} 16*-1=-16"\
"""

_HEDGE = stock_entry(
    reason=text(160),
    side=one_of("BUY"),
    weight_pct=integer(1, INDEX_SHORT["maximum"]),
    effective_pct=integer(-INDEX_SHORT["maximum"], -1),
)
schema: Schema = closed(
    working=WORKING,
    scenario_analysis=closed(
        shock=one_of(*SHOCKS), regime_now=REGIME, reasoning=text(), regime_after=REGIME
    ),
    recommended_action=closed(action=one_of(*_ACTIONS), net_exposure_pct=NET),
    positions=closed(
        long_gross_pct=LONG_GROSS, index_short_pct=INDEX_SHORT, hedge=listed(_HEDGE, 3)
    ),
    contingency=text(300),
)

# How it is argued.


def answer(scene: Scene, rng: Random, regime: str | None = None) -> Answer:
    """Returns the regime after the shock, the book that fits it and a contingency, all argued.

    With a `regime`, it is the answer of someone who expects that one after the shock.
    """
    return _with_reasons(scene, decide(scene.facts, regime), _after(scene.facts), rng)


def _with_reasons(
    scene: Scene, decision: Decision, numbers_after: dict[str, float], rng: Random
) -> Answer:
    """The decision as an answer, argued in the scene's language."""
    decision = wording.named(settled(decision), scene.language)
    scenario, positions = decision["scenario_analysis"], decision["positions"]
    reasons = [
        _cause(scene, rng),
        _effect(scene, numbers_after, rng),
        _shift(scenario["regime_now"], scenario["regime_after"], scene.language, rng),
    ]
    scenario["reasoning"] = " ".join(reasons)
    for order in positions["hedge"]:
        order["reason"] = _hedge_reason(order, positions["long_gross_pct"], scene.language, rng)
    decision["contingency"] = _contingency(scene, decision, rng)
    return arranged(decision, schema)


def _cause(scene: Scene, rng: Random) -> str:
    """Why such a shock moves Korean shares."""
    return rng.choice(_WORDS.texts[f"cause_{scene.facts.words['shock']}"][scene.language])


def _effect(scene: Scene, after: dict[str, float], rng: Random) -> str:
    """The market's numbers after the shock."""
    language = scene.language
    return rng.choice(_WORDS.texts["effect"][language]).format(
        size=_size(scene),
        r=printed("return_pct", after["return_pct"], language),
        b=printed("breadth_pct", after["breadth_pct"], language),
        m=printed("momentum_pct", after["momentum_pct"], language),
        v=printed("volatility_pct", after["volatility_pct"], language),
    )


def _size(scene: Scene) -> str:
    """The size of the shock; a rise of interest rates is in points."""
    size = scene.facts.numbers["shock_pct"]
    if scene.facts.words["shock"] != "rate_hike":
        return printed("shock_pct", size, scene.language)
    return f"{size:.1f}%p" if scene.language == "ko" else f"{size:.1f} points"


def _shift(before: str, after: str, language: Language, rng: Random) -> str:
    """The regime's change, or that it stays."""
    change = "shift_stays" if before == after else "shift_changes"
    return rng.choice(_WORDS.texts[change][language]).format(
        **forms("before", before), **forms("after", after)
    )


def _hedge_reason(order: dict[str, Any], long_gross: int, language: Language, rng: Random) -> str:
    """Why this fund: by the market that it shorts, or by the longs that it stands beside."""
    etf = find_etf(order["ticker"])
    market = "hedge_us" if etf and etf.group == "inverse_us" else "hedge_kospi"
    beside = "hedge_of_longs" if long_gross else "hedge_alone"
    bank = market if rng.random() < 0.6 else beside
    sentence = rng.choice(_WORDS.texts[bank][language])
    return sentence.format(weight=order["weight_pct"], effective=order["effective_pct"])


def _contingency(scene: Scene, decision: Decision, rng: Random) -> str:
    """What is done if it comes otherwise, and about the hedge if there is one."""
    after = decision["scenario_analysis"]["regime_after"]
    low, high = EXPOSURES[after].net
    hedge = decision["positions"]["hedge"]
    texts = _WORDS.texts
    banks = [texts["otherwise"], texts["hedged" if hedge else "unhedged"]]
    if rng.random() < 0.5:
        banks.reverse()
    sentences = [rng.choice(bank[scene.language]) for bank in banks]
    return " ".join(sentences).format(
        low=low, high=high, short=decision["positions"]["index_short_pct"]
    )


# How it goes wrong.


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist expects another regime, forgets
    to shock a number, keeps today's book, or acts against what he worked out. His words are those
    of the scene's own answer.
    """

    def mistake() -> Answer:
        slips = (_expects_another, _forgets_a_number, _keeps_the_book, _acts_wrongly)
        (slip,) = rng.choices(slips, weights=(3, 2, 1, 2))
        return slip(scene, rng)

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def _expects_another(scene: Scene, rng: Random) -> Answer:
    """The answer of someone who compares wrongly and expects another regime."""
    after = regime_of(**_after(scene.facts))
    return answer(scene, Random(scene.seed), spoiling.other_regime(after, rng))


def _forgets_a_number(scene: Scene, rng: Random) -> Answer:
    """The answer of someone who leaves one number as it is today, if that changes the regime."""
    today, after = known_numbers(scene.facts), _after(scene.facts)
    for still in rng.sample(NUMBERS, len(NUMBERS)):
        wrong = {**after, still: today[still]}
        if regime_of(**wrong) != regime_of(**after):
            decision = _decision(scene.facts, wrong, None)
            return _with_reasons(scene, decision, wrong, Random(scene.seed))
    return _expects_another(scene, rng)


def _keeps_the_book(scene: Scene, rng: Random) -> Answer:
    """The right regime after the shock, with the book of today's."""
    after = _after(scene.facts)
    if scene.regime == regime_of(**after):
        return _acts_wrongly(scene, rng)
    kept = _decision(scene.facts, after, None, book=scene.regime)
    return _with_reasons(scene, kept, after, Random(scene.seed))


def _acts_wrongly(scene: Scene, rng: Random) -> Answer:
    """The right working, and an action that does not follow from it."""
    careless = answer(scene, Random(scene.seed))
    action = careless["recommended_action"]
    action["action"] = rng.choice([other for other in _ACTIONS if other != action["action"]])
    return careless


# How it is graded.


def grade(scene: Scene, reply: str) -> Grade:
    """Grades both regimes and the action against the decision, and the book against the bands of
    the regime after the shock.
    """
    decision = decide(scene.facts)
    del decision["positions"]["hedge"]  # the taught fund is one of many right ones
    judged = grading.judge(scene, reply, schema, decision, ("tickers", "exposure"))
    if judged.answer is None:
        return judged
    parts = dict(judged.parts)
    hedge = judged.answer["positions"]["hedge"]
    parts["tickers"] = grading.pairs_exist(hedge)
    parts["exposure"] = parts["exposure"] and _adds_up(judged.answer)
    parts["actions"] = parts["actions"] and _shorts_what_falls(hedge, scene.facts.words["shock"])
    return grading.graded(parts, judged.parts, judged.answer)


def _adds_up(answer: Answer) -> bool:
    """Whether the net is the longs less the short, and the hedge makes the short, each to a
    point.
    """
    positions = answer["positions"]
    short = positions["index_short_pct"]
    effective = sum(order["effective_pct"] for order in positions["hedge"])
    net = answer["recommended_action"]["net_exposure_pct"]
    return abs(positions["long_gross_pct"] - short - net) <= 1 and abs(effective + short) <= 1


def _shorts_what_falls(hedge: list[dict[str, Any]], shock: str) -> bool:
    """Whether every order is of a fund that shorts the KOSPI, or US shares if these fall, with the
    effective exposure of its multiple.
    """
    groups: list[Group] = ["short_kospi"]
    if shock == _FROM_THE_US:
        groups.append("inverse_us")
    return are_funds_of(hedge, *groups) and knows_multiples(hedge)
