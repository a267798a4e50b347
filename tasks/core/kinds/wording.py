"""The words that all kinds share: labels of the market's numbers, their four layouts, and the argument for a regime."""

from dataclasses import dataclass

from tasks.core.kinds.base import NUMBERS, Language, Scene
from tasks.core.kinds.korean import with_particle
from tasks.core.records import StockDay
from tasks.core.strategy import NEUTRAL, THRESHOLDS, regime_of, rule_of
from tasks.core.universe import stock

LABELS: dict[Language, dict[str, str]] = {
    "ko": {
        "return_pct": "시장 수익률",
        "breadth_pct": "상승 종목 비중",
        "momentum_pct": "10일 모멘텀",
        "volatility_pct": "연율 변동성",
    },
    "en": {
        "return_pct": "market return",
        "breadth_pct": "advancing breadth",
        "momentum_pct": "10-day momentum",
        "volatility_pct": "annualized volatility",
    },
}
_SCALE = {"return_pct": 1.0, "breadth_pct": 10.0, "momentum_pct": 2.0, "volatility_pct": 5.0}  # what counts as near

_BECAUSE = {
    "ko": {
        "BEAR": "시장 수익률 {r}, 상승 종목 비중 {b}, 10일 모멘텀 {m}가 모두 약세장 기준을 밑돈다.",
        "volatile": "시장 수익률이 {r}로 밀리고 연율 변동성이 {v}로 25%를 넘어 단기 스트레스로 본다.",
        "STRONG_BULL": "시장 수익률 {r}, 상승 종목 비중 {b}, 10일 모멘텀 {m}가 모두 강세장 기준을 웃돈다.",
        "WEAKENING": "시장 수익률이 {r}로 밀리고 상승 종목 비중이 {b}로 35%와 50% 사이라 시장이 약해지고 있다.",
        "MILD_BULL": "시장 수익률이 {r}로 오르고 상승 종목 비중이 {b}로 절반을 넘어 완만한 상승세다.",
        "SHORT_TERM_STRESS": "시장 수익률이 {r}로 -1%보다 깊게 밀려 단기 스트레스로 본다.",
        "shallow": "시장 수익률이 {r}로 밀렸지만 낙폭이 1%를 넘지 않아 약화 국면으로 본다.",
        "narrow": "시장 수익률이 {r}로 올랐지만 상승 종목 비중이 {b}에 그쳐 완만한 상승으로만 본다.",
        "flat": "시장 수익률이 {r}로 밀리지 않아 완만한 상승 국면으로 본다.",
        "down": "시장 수익률이 {r}로 밀렸지만 상승 종목 비중을 모르니 약화 국면으로만 본다.",
        "up": "시장 수익률이 {r}로 올랐지만 상승 종목 비중을 모르니 완만한 상승으로만 본다.",
    },
    "en": {
        "BEAR": "Market return {r}, breadth {b} and 10-day momentum {m} are all below the bear-market limits.",
        "volatile": "A market return of {r} with annualized volatility of {v}, above 25%, is short-term stress.",
        "STRONG_BULL": "Market return {r}, breadth {b} and 10-day momentum {m} all clear the strong-bull limits.",
        "WEAKENING": "A market return of {r} with breadth of {b}, between 35% and 50%, is a weakening market.",
        "MILD_BULL": "A market return of {r} with breadth of {b}, more than half, is a mild uptrend.",
        "SHORT_TERM_STRESS": "A market return of {r} is deeper than -1%, so this is short-term stress.",
        "shallow": "A market return of {r} is a loss of no more than 1%: the market is weakening.",
        "narrow": "The market return is {r}, but breadth of only {b} makes it no more than a mild uptrend.",
        "flat": "A market return of {r} is no loss, which makes it a mild uptrend.",
        "down": "A market return of {r} is a loss, but without the breadth it counts as no more than weakening.",
        "up": "A market return of {r} is a gain, but without the breadth it counts as no more than a mild uptrend.",
    },
}


def printed(name: str, value: float) -> str:
    """A market number as prompts and rationales print it."""
    return f"{value:.1f}%" if name == "breadth_pct" else f"{value:.2f}%"


def market_block(scene: Scene) -> str:
    """The given numbers in the scene's layout."""
    labels = LABELS[scene.language]
    pairs = [(labels[name], printed(name, getattr(scene.snapshot, name))) for name in NUMBERS if name in scene.given]
    if scene.layout == "bullets":
        return "\n".join(f"- {label}: {value}" for label, value in pairs)
    if scene.layout == "table":
        return "\n".join(f"| {label} | {value} |" for label, value in pairs)
    if scene.layout == "compact":
        return " / ".join(f"{label} {value}" for label, value in pairs)
    return ", ".join(f"{label} {value}" for label, value in pairs) + "."


def day_of(scene: Scene) -> str:
    """The date, or today where the numbers belong to no real day."""
    return scene.snapshot.date or {"ko": "오늘", "en": "today"}[scene.language]


def name_of(ticker: str, language: Language) -> str:
    found = stock(ticker)
    return found.name_ko if language == "ko" else found.name_en


def ratios_of(day: StockDay) -> dict[str, float]:
    """PER and PBR as printed, where they mean something (0.5 < PER < 200, 0.01 < PBR < 50)."""
    found = {}
    if day.per is not None and 0.5 < day.per < 200:
        found["per"] = round(day.per, 1)
    if day.pbr is not None and 0.01 < day.pbr < 50:
        found["pbr"] = round(day.pbr, 2)
    return found


def argue(scene: Scene, claimed: str | None = None) -> str:
    """Why the regime is what it is, what would change it, and what was taken for neutral.

    With another regime claimed, the same argument for that one, which the numbers contradict.
    """
    numbers = known_numbers(scene)
    regime = regime_of(**numbers)
    wrong = claimed not in (None, regime)
    said = {name[0]: printed(name, value) for name, value in numbers.items()}  # r, b, m, v
    sentences = [_BECAUSE[scene.language][claimed if wrong else _ground(scene, numbers)].format(**said)]
    missing = [name for name in NUMBERS if name not in scene.given]
    if missing:
        sentences.append(_neutral(missing, scene.language))
    elif turn := nearest_turn(numbers):
        sentences.append(_turning(turn, regime if wrong else turn.regime, scene.language))
    return " ".join(sentences)


def _ground(scene: Scene, numbers: dict[str, float]) -> str:
    """Which argument of _BECAUSE the rule's own reason is. A breadth that nobody gave decides, but is no evidence."""
    rule, regime = rule_of(**numbers)
    if "breadth_pct" not in scene.given and (rule == 4 or rule == 6 and numbers["return_pct"] > 0):
        return "down" if rule == 4 else "up"
    if rule == 2:
        return "volatile"
    if rule < 6 or regime == "SHORT_TERM_STRESS":
        return regime
    if regime == "WEAKENING":
        return "shallow"
    return "narrow" if numbers["return_pct"] > 0 else "flat"


def known_numbers(scene: Scene) -> dict[str, float]:
    """The four numbers as the rule sees them: given ones as printed, missing ones neutral."""
    return {name: getattr(scene.snapshot, name) if name in scene.given else NEUTRAL[name] for name in NUMBERS}


@dataclass(frozen=True)
class Turn:
    """A limit whose crossing by one number changes the regime."""

    name: str
    limit: float
    falls: bool  # the number crosses it downwards
    regime: str  # the regime beyond


def nearest_turn(numbers: dict[str, float]) -> Turn | None:
    """The turn of the number nearest to its limit. A number on its limit can cross it either way."""
    regime, turns = regime_of(**numbers), []
    for name, limit in THRESHOLDS:
        away = numbers[name] - limit
        for falls in (True, False):
            beyond = regime_of(**{**numbers, name: limit - 0.1 if falls else limit + 0.1})
            if beyond != regime and (away == 0 or falls == (away > 0)):
                turns.append((abs(away) / _SCALE[name], Turn(name, limit, falls, beyond)))
    return min(turns, key=lambda found: found[0])[1] if turns else None


def _turning(turn: Turn, regime: str, language: Language) -> str:
    label = LABELS[language][turn.name]
    if language == "ko":
        moves = "밑으로 내려가면" if turn.falls else "위로 올라서면"
        return f"{with_particle(label, '이/가')} {turn.limit:g}% {moves} {with_particle(regime, '으로/로')} 바뀐다."
    return f"It turns to {regime} if the {label} {'falls below' if turn.falls else 'rises above'} {turn.limit:g}%."


def _neutral(missing: list[str], language: Language) -> str:
    labels = [LABELS[language][name] for name in missing]
    if language == "ko":
        return f"주어지지 않은 {with_particle(', '.join(labels), '은/는')} 중립으로 두었다."
    return f"Not given and taken as neutral: {', '.join(labels)}."
