"""The words that all kinds share: the market's numbers in four layouts, stock lines, and the
argument for a regime.
"""

from random import Random
from typing import Any

from tasks.core.kinds import lexicon, phrases
from tasks.core.kinds.base import Language, Scene
from tasks.core.kinds.korean import with_particle
from tasks.core.kinds.lexicon import CONTEXT, MARKET, REGIME_WORD, STOCK, STOCK_WORDS
from tasks.core.records.facts import Facts, StockFacts
from tasks.core.strategy.borders import Turn, nearest_turn
from tasks.core.strategy.events import event_named
from tasks.core.strategy.rules import (
    EXPOSURES,
    NUMBERS,
    allocation_for,
    regime_of,
    rule_of,
)
from tasks.core.strategy.stated import known_numbers
from tasks.core.strategy.universe import names

TEXT_LIMIT = 400
"""Most characters of a rationale, by every kind's schema."""


def ask(scene: Scene, templates: tuple[str, ...]) -> str:
    """The scene's template with its blanks filled: {day}, {market}, {stocks}, {event}, {shock}."""
    words = scene.facts.words
    found = event_named(words["event"]) if "event" in words else None
    return templates[scene.template].format(
        day=scene.date or {"ko": "오늘", "en": "today"}[scene.language],
        market=market_block(scene),
        stocks="\n".join(stock_line(line, scene) for line in scene.facts.stocks),
        event=(found.ko if scene.language == "ko" else found.en) if found else "",
        shock=lexicon.SHOCKS[words["shock"]].of(scene.language) if "shock" in words else "",
    )


def market_block(scene: Scene) -> str:
    """Every number of the market and its context in the scene's layout; a hurried sentence ends
    without a full stop.
    """
    labels, numbers = {**MARKET, **CONTEXT}, scene.facts.numbers
    pairs = [
        (label.of(scene.language), lexicon.printed(name, numbers[name], scene.language))
        for name, label in labels.items()
        if name in numbers
    ]
    if "previous_regime" in scene.facts.words:
        pairs.append((REGIME_WORD.of(scene.language), scene.facts.words["previous_regime"]))
    if scene.layout == "bullets":
        return "\n".join(f"- {label}: {value}" for label, value in pairs)
    if scene.layout == "table":
        return "\n".join(f"| {label} | {value} |" for label, value in pairs)
    if scene.layout == "compact":
        return " / ".join(f"{label} {value}" for label, value in pairs)
    return ", ".join(f"{label} {value}" for label, value in pairs) + "." * (not scene.partial)


def stock_line(line: StockFacts, scene: Scene) -> str:
    """One stock with its numbers and words on one line."""
    language = scene.language
    told = [
        f"{label.of(language)} {lexicon.printed(name, line.numbers[name], language)}"
        for name, label in STOCK.items()
        if name in line.numbers
    ]
    for name, (label, values) in STOCK_WORDS.items():
        if name in line.words:
            told.append(f"{label.of(language)} {values[line.words[name]].of(language)}")
    named = f"{name_of(line.ticker, language)}({line.ticker})"
    if scene.layout == "table":
        return "| " + " | ".join([named, *told]) + " |"
    return ("- " if scene.layout == "bullets" else "") + f"{named} {', '.join(told)}".rstrip()


def name_of(ticker: str, language: Language) -> str:
    """The name that texts of this language use; ETFs keep their brand name."""
    known = names(ticker)
    return known[0] if language == "ko" else known[-1]


def named(decision: Any, language: Language) -> Any:
    """The decision with a `name` behind each `ticker`, at any depth."""
    if isinstance(decision, list):
        return [named(entry, language) for entry in decision]
    if not isinstance(decision, dict):
        return decision
    told = {}
    for key, value in decision.items():
        told[key] = named(value, language)
        if key == "ticker":
            told["name"] = name_of(value, language)
    return told


def argue(scene: Scene, rng: Random, claimed: str | None = None, exposure: bool = False) -> str:
    """Why the regime is what it is, what would change it, and what was taken for neutral.

    With another regime claimed, the same argument for that one, which the numbers contradict.
    """
    numbers, language = known_numbers(scene.facts), scene.language
    regime = regime_of(**numbers)
    wrong = claimed not in (None, regime)
    sentences = [ground(scene, rng, claimed)]
    missing = [name for name in NUMBERS if name not in scene.facts.numbers]
    if missing:
        sentences.append(_neutral(missing, language, rng))
    elif turn := nearest_turn(numbers):
        sentences.append(_turning(turn, regime if wrong else turn.regime, numbers, language, rng))
    if not missing and rng.random() < 0.35:
        sentences.reverse()
    if exposure:
        sentences.append(_exposure(claimed or regime, numbers["breadth_pct"], language, rng))
    return " ".join(sentences)


def ground(scene: Scene, rng: Random, claimed: str | None = None) -> str:
    """The first part of `argue` alone: why the regime is what it is."""
    numbers = known_numbers(scene.facts)
    said = {
        name[0]: lexicon.printed(name, value, scene.language) for name, value in numbers.items()
    }  # r, b, m, v
    reason = claimed if claimed not in (None, regime_of(**numbers)) else ground_of(scene.facts)
    return rng.choice(phrases.GROUNDS[scene.language][reason]).format(**said)


def ground_of(facts: Facts) -> str:
    """Which of phrases.GROUNDS the rule's own reason is. A breadth that nobody gave decides, but is
    no evidence.
    """
    numbers = known_numbers(facts)
    rule, regime = rule_of(**numbers)
    if "breadth_pct" not in facts.numbers and (
        rule == 4 or rule == 6 and numbers["return_pct"] > 0
    ):
        return "down" if rule == 4 else "up"
    if rule == 2:
        return "volatile"
    if rule < 6:
        return regime
    if regime == "SHORT_TERM_STRESS":
        return regime
    if regime == "WEAKENING":
        return "shallow"
    return "narrow" if numbers["return_pct"] > 0 else "flat"


def turn_gap(turn: Turn, numbers: dict[str, float]) -> float:
    """How far the number is from the limit, in points, rounded as the number is printed."""
    return round(abs(numbers[turn.name] - turn.limit), MARKET[turn.name].decimals)


def _turning(
    turn: Turn, regime: str, numbers: dict[str, float], language: Language, rng: Random
) -> str:
    label, limit = MARKET[turn.name].of(language), f"{turn.limit:g}%"
    gap = f"{turn_gap(turn, numbers):.{MARKET[turn.name].decimals}f}"
    text = rng.choice(phrases.TURNS[language])
    if language == "en":
        moves = "falls below" if turn.falls else "rises above"
        return text.format(label=label, limit=limit, gap=gap, moves=moves, regime=regime)
    return text.format(
        label=label,
        label_i=with_particle(label, "이/가"),
        limit=limit,
        gap=gap,
        moves_if="밑으로 내려가면" if turn.falls else "위로 올라서면",
        regime_ro=with_particle(regime, "으로/로"),
        regime_da=with_particle(regime, "이다/다"),
    )


def _exposure(regime: str, breadth_pct: float, language: Language, rng: Random) -> str:
    low, high = EXPOSURES[regime].net
    net = allocation_for(regime, breadth_pct).net
    return rng.choice(phrases.EXPOSURES[language]).format(low=low, high=high, net=net)


def _neutral(missing: list[str], language: Language, rng: Random) -> str:
    labels = ", ".join(MARKET[name].of(language) for name in missing)
    return rng.choice(phrases.NEUTRAL[language]).format(
        labels=labels, labels_eun=with_particle(labels, "은/는") if language == "ko" else ""
    )
