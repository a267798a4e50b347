"""The words that all kinds share: the market's numbers in four layouts, stock lines, and the
argument for a regime.

Reads and writes no file. All chance comes from the generator that the caller gives.
"""

from collections.abc import Collection, Mapping, Sequence
from random import Random
from typing import Any

from tasks.core.kinds import exposure_phrases, lexicon, phrases
from tasks.core.kinds.base import Scene
from tasks.core.kinds.korean import with_particle
from tasks.core.kinds.lexicon import (
    CONTEXT,
    CURRENT_REGIME_WORD,
    MARKET,
    REGIME_WORD,
    STOCK,
    STOCK_WORDS,
)
from tasks.core.records.facts import Facts, Language, StockFacts
from tasks.core.strategy.borders import Turn, nearest_turn
from tasks.core.strategy.events import event_named
from tasks.core.strategy.rules import (
    EXPOSURES,
    WILD_VOLATILITY_PCT,
    allocation_for,
    regime_of,
    rule_of,
)
from tasks.core.strategy.stated import known_numbers, missing_numbers
from tasks.core.strategy.universe import names

TEXT_LIMIT = 400
"""Most characters of a rationale, by every kind's schema."""

TODAY: Mapping[Language, str] = {"ko": "오늘", "en": "today"}
YESTERDAY: Mapping[Language, str] = {"ko": "전일", "en": "yesterday"}


# Questions.


def ask(scene: Scene, templates: tuple[str, ...], undated: Mapping[Language, str] = TODAY) -> str:
    """Returns the scene's template with its blanks filled.

    The blanks are {day}, {market}, {stocks}, {event} and {shock}; a template has those that its
    kind needs. The {day} of numbers without a date is called `undated`: an opening or intraday
    question speaks of the session before. A template without {day} is led by the date, if any.
    """
    template = templates[scene.template]
    if scene.date and "{day}" not in template:
        template = "{day}: " + template
    question = template.format(
        day=scene.date or undated[scene.language],
        market=market_block(scene),
        stocks="\n".join(stock_line(stock, scene) for stock in scene.facts.stocks),
        event=_event_text(scene),
        shock=_shock_text(scene),
    )
    question = question[:1].upper() + question[1:]  # "the index" may come first
    return f"{question}\n{kind_line(scene.kind)}"


def kind_line(kind: str) -> str:
    """Returns the last line of a question, which names its kind."""
    return f"kind: {kind}"


def _event_text(scene: Scene) -> str:
    if "event" not in scene.facts.words:
        return ""
    event = event_named(scene.facts.words["event"])
    if scene.language == "ko":
        return event.ko
    return event.en


def _shock_text(scene: Scene) -> str:
    if "shock" not in scene.facts.words:
        return ""
    return lexicon.SHOCKS[scene.facts.words["shock"]].of(scene.language)


def market_block(scene: Scene) -> str:
    """Returns every number of the market and its context in the scene's layout.

    The sentence of a hurried question ends without a full stop, because the question goes on.
    """
    entries = _market_entries(scene)
    if scene.layout == "bullets":
        return "\n".join(f"- {label}: {value}" for label, value in entries)
    if scene.layout == "table":
        return "\n".join(f"| {label} | {value} |" for label, value in entries)
    if "current_regime" in scene.facts.words:
        return ", ".join(f"{label}: {value}" for label, value in entries)
    pairs = [f"{label} {value}" for label, value in entries]
    if scene.layout == "compact":
        return " / ".join(pairs)
    sentence = ", ".join(pairs)
    if scene.partial:
        return sentence
    return f"{sentence}."


def _market_entries(scene: Scene) -> list[tuple[str, str]]:
    """Returns each stated number's name and value in the form that the scene's seed draws; a regime
    that is given comes last.
    """
    language = scene.language
    entries = []
    for name in (*MARKET, *CONTEXT):
        if name in scene.facts.numbers:
            number = scene.facts.numbers[name]
            called = lexicon.called(name, number, language, scene.seed)
            entries.append((called.name, called.value))
    for name, label in (("previous_regime", REGIME_WORD), ("current_regime", CURRENT_REGIME_WORD)):
        if name in scene.facts.words:
            entries.append((label.of(language), scene.facts.words[name]))
    return entries


def stock_line(stock: StockFacts, scene: Scene) -> str:
    """Returns one stock with its numbers and words on one line."""
    name = f"{name_of(stock.ticker, scene.language)}({stock.ticker})"
    entries = _stock_entries(stock, scene.language)
    if scene.layout == "table":
        return f"| {' | '.join([name, *entries])} |"
    bullet = "- " if scene.layout == "bullets" else ""
    return f"{bullet}{name} {', '.join(entries)}".rstrip()


def _stock_entries(stock: StockFacts, language: Language) -> list[str]:
    entries = []
    for name, label in STOCK.items():
        if name in stock.numbers:
            value = lexicon.printed(name, stock.numbers[name], language)
            entries.append(f"{label.of(language)} {value}")
    for name, (label, values) in STOCK_WORDS.items():
        if name in stock.words:
            word = values[stock.words[name]].of(language)
            entries.append(f"{label.of(language)} {word}")
    return entries


# Names.


def name_of(ticker: str, language: Language) -> str:
    """Returns the name that texts of this language use; ETFs keep their brand name."""
    accepted = names(ticker)
    if language == "ko":
        return accepted[0]
    return accepted[-1]


def named(decision: Any, language: Language) -> Any:
    """Returns the decision with a `name` behind each `ticker`, at any depth."""
    if isinstance(decision, list):
        return [named(entry, language) for entry in decision]
    if not isinstance(decision, dict):
        return decision
    with_names = {}
    for key, value in decision.items():
        with_names[key] = named(value, language)
        if key == "ticker":
            with_names["name"] = name_of(value, language)
    return with_names


def enumerated(words: Sequence[str], language: Language) -> str:
    """Returns words as a text lists them: English puts an `and` before the last."""
    if language == "ko" or len(words) < 2:
        return ", ".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


# The argument for a regime.


def argue(
    scene: Scene,
    rng: Random,
    claimed: str | None = None,
    turn: bool = False,
    exposure: bool = False,
) -> str:
    """Returns why the regime is what it is, and what was taken as usual.

    With another regime claimed, it is the same argument for that one, which the numbers contradict.
    With `turn`, it says what would change the view, which a kind must have worked out. With
    `exposure`, it ends with the net exposure.
    """
    numbers, language = known_numbers(scene.facts), scene.language
    sentences = [ground(scene, rng, claimed)]
    missing = missing_numbers(scene.facts)
    if "current_regime" in scene.facts.words:
        return f"{sentences[0]} {_exposure(claimed, scene, rng)}"
    if missing:
        sentences.append(_usual(missing, numbers, language, rng))
    elif turn:
        sentences += _turning(numbers, claimed, language, rng)
        if rng.random() < 0.35:
            sentences.reverse()
    if exposure:
        sentences.append(_exposure(claimed, scene, rng))
    return " ".join(sentences)


def ground(scene: Scene, rng: Random, claimed: str | None = None) -> str:
    """Returns the first part of `argue` alone: why the regime is what it is."""
    numbers = known_numbers(scene.facts)
    if "current_regime" in scene.facts.words:
        return _given(claimed or scene.regime, scene.language, rng)
    if scene.partial:
        return _partial_ground(scene, rng, claimed or regime_of(**numbers))
    reason = ground_of(scene.facts)
    if claimed and claimed != regime_of(**numbers):
        reason = rng.choice(_GROUNDS_OF[claimed])
    sentence = rng.choice(phrases.GROUNDS[scene.language][reason])
    return sentence.format(
        r=lexicon.printed("return_pct", numbers["return_pct"], scene.language),
        b=lexicon.printed("breadth_pct", numbers["breadth_pct"], scene.language),
        m=lexicon.printed("momentum_pct", numbers["momentum_pct"], scene.language),
        v=lexicon.printed("volatility_pct", numbers["volatility_pct"], scene.language),
    )


_GROUNDS_OF = {
    "BEAR": ("BEAR",),
    "SHORT_TERM_STRESS": ("SHORT_TERM_STRESS", "volatile"),
    "STRONG_BULL": ("STRONG_BULL",),
    "WEAKENING": ("WEAKENING", "shallow"),
    "MILD_BULL": ("MILD_BULL", "narrow"),
}
"""The grounds on which a regime is claimed by who takes the market for another one."""


def _partial_ground(scene: Scene, rng: Random, regime: str) -> str:
    """Returns what the numbers that were given say of the regime."""
    known = _listed(scene.facts.numbers, scene.facts.numbers, scene.language)
    sentence = rng.choice(exposure_phrases.PARTIAL[scene.language])
    return sentence.format(
        known=known,
        regime=regime,
        regime_ro=with_particle(regime, "으로/로"),
        regime_da=with_particle(regime, "이다/다"),
    )


def ground_of(facts: Facts) -> str:
    """Returns which of phrases.GROUNDS is the rule's own reason, if all numbers are known."""
    numbers = known_numbers(facts)
    rule, regime = rule_of(**numbers)
    if rule == 2:
        return "volatile"
    if rule < 6 or regime == "SHORT_TERM_STRESS":
        return regime
    if regime == "WEAKENING":
        return "shallow"
    return "narrow" if numbers["return_pct"] > 0 else "flat"


def _turning(
    numbers: Mapping[str, float], claimed: str | None, language: Language, rng: Random
) -> list[str]:
    """Returns the sentence that says what would change the view, or none if nothing would.

    Who claims the regime that lies beyond the limit says that the true one does.
    """
    turn = nearest_turn(numbers)
    if turn is None:
        return []
    beyond = turn.regime
    if claimed == beyond:
        beyond = regime_of(**numbers)
    gap = _turn_gap(turn, numbers)
    sentence = rng.choice(phrases.TURNS[language])
    if language == "en":
        return [_english_turn(sentence, turn, gap, beyond)]
    return [_korean_turn(sentence, turn, gap, beyond)]


def _turn_gap(turn: Turn, numbers: Mapping[str, float]) -> str:
    """Returns how far the number is from the limit, in points, with the number's decimals."""
    decimals = MARKET[turn.name].decimals
    return f"{abs(numbers[turn.name] - turn.limit):.{decimals}f}"


def _english_turn(sentence: str, turn: Turn, gap: str, beyond: str) -> str:
    return sentence.format(
        label=MARKET[turn.name].en,
        limit=f"{turn.limit:g}%",
        gap=gap,
        moves="falls below" if turn.falls else "rises above",
        regime=beyond,
    )


def _korean_turn(sentence: str, turn: Turn, gap: str, beyond: str) -> str:
    label = MARKET[turn.name].ko
    return sentence.format(
        label=label,
        label_i=with_particle(label, "이/가"),
        limit=f"{turn.limit:g}%",
        gap=gap,
        moves_if="밑으로 내려가면" if turn.falls else "위로 올라서면",
        regime_ro=with_particle(beyond, "으로/로"),
        regime_da=with_particle(beyond, "이다/다"),
    )


def _given(regime: str, language: Language, rng: Random) -> str:
    """Returns what is said of a regime that the question gives."""
    sentence = rng.choice(exposure_phrases.GIVEN[language])
    return sentence.format(
        regime=regime,
        regime_ro=with_particle(regime, "으로/로"),
        regime_iraneun=with_particle(regime, "이라는/라는"),
    )


def _exposure(claimed: str | None, scene: Scene, rng: Random) -> str:
    """Returns which net exposure fits the regime, and what decides its place in the band."""
    regime = claimed or scene.regime
    numbers = known_numbers(scene.facts)
    low, high = EXPOSURES[regime].net
    net = allocation_for(regime, numbers["breadth_pct"], numbers["volatility_pct"]).net
    sentences: tuple[str, ...] = exposure_phrases.EXPOSURES[scene.language]
    if numbers["volatility_pct"] > WILD_VOLATILITY_PCT:
        sentences = exposure_phrases.WILD[scene.language]
    elif "breadth_pct" in scene.facts.numbers:
        sentences += exposure_phrases.BY_BREADTH[scene.language]
    return rng.choice(sentences).format(low=low, high=high, net=net)


def _usual(
    missing: list[str], numbers: Mapping[str, float], language: Language, rng: Random
) -> str:
    assumed = _listed(numbers, missing, language)
    sentence = rng.choice(exposure_phrases.USUAL[language])
    return sentence.format(
        assumed=assumed,
        assumed_ro=with_particle(assumed, "으로/로"),
        assumed_da=with_particle(assumed, "이다/다"),
        assumed_iraneun=with_particle(assumed, "이라는/라는"),
    )


def _listed(numbers: Mapping[str, float], names: Collection[str], language: Language) -> str:
    """Returns those of the market's numbers that are named, each behind its label."""
    parts = []
    for name, label in MARKET.items():
        if name in names:
            parts.append(f"{label.of(language)} {lexicon.printed(name, numbers[name], language)}")
    *first, last = parts
    if language == "en" and first:
        return f"{', '.join(first)} and {last}"
    return ", ".join(parts)
