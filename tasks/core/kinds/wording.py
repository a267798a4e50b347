"""The words that all kinds share: labels of the market's numbers, their four layouts, and the argument for a regime."""

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
        1: "{return_pct}, {breadth_pct}, {momentum_pct} 모두 약세장 기준을 밑돈다.",
        2: "{return_pct} 하락에 {volatility_pct}까지 25%를 넘어 단기 스트레스로 본다.",
        3: "{return_pct}, {breadth_pct}, {momentum_pct} 모두 강세 기준을 웃돈다.",
        4: "{return_pct} 하락에 {breadth_pct} 수준이 35%와 50% 사이라 시장이 약해지고 있다.",
        5: "{return_pct} 상승에 {breadth_pct} 수준이 절반을 넘어 완만한 상승세다.",
        "SHORT_TERM_STRESS": "{return_pct} 하락은 -1%보다 깊어 단기 스트레스로 본다.",
        "WEAKENING": "{return_pct} 하락이지만 -1%보다는 얕아 약화 국면으로 본다.",
        "MILD_BULL": "{return_pct} 수준은 하락이 아니지만 {breadth_pct} 탓에 강세라고 하기는 어렵다.",
    },
    "en": {
        1: "A {return_pct}, an {breadth_pct} and a {momentum_pct} are all below the bear-market limits.",
        2: "A {return_pct} with an {volatility_pct}, above 25%, is short-term stress.",
        3: "A {return_pct}, an {breadth_pct} and a {momentum_pct} all clear the strong-bull limits.",
        4: "A {return_pct} with an {breadth_pct}, between 35% and 50%, is a weakening market.",
        5: "A {return_pct} with an {breadth_pct}, more than half, is a mild uptrend.",
        "SHORT_TERM_STRESS": "A {return_pct} is deeper than -1%, so this is short-term stress.",
        "WEAKENING": "A {return_pct} is a loss, but shallower than -1%: the market is weakening.",
        "MILD_BULL": "A {return_pct} is no loss, but an {breadth_pct} is too little to call it strong.",
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


def argue(scene: Scene) -> str:
    """Why the regime is what it is, what would change it, and what was taken for neutral."""
    numbers = known_numbers(scene)
    rule, regime = rule_of(**numbers)
    labels = LABELS[scene.language]
    between = " of " if scene.language == "en" else " "
    said = {name: f"{labels[name]}{between}{printed(name, value)}" for name, value in numbers.items()}
    sentences = [_BECAUSE[scene.language][regime if rule == 6 else rule].format(**said)]
    missing = [name for name in NUMBERS if name not in scene.given]
    if missing:
        sentences.append(_neutral(missing, scene.language))
    elif turn := nearest_turn(numbers):
        name, limit, other = turn
        sentences.append(_turning(name, numbers[name], limit, other, scene.language))
    return " ".join(sentences)


def known_numbers(scene: Scene) -> dict[str, float]:
    """The four numbers as the rule sees them: given ones as printed, missing ones neutral."""
    return {name: getattr(scene.snapshot, name) if name in scene.given else NEUTRAL[name] for name in NUMBERS}


def nearest_turn(numbers: dict[str, float]) -> tuple[str, float, str] | None:
    """The number nearest to a limit whose crossing changes the regime: (name, limit, new regime)."""
    regime, turns = regime_of(**numbers), []
    for name, limit in THRESHOLDS:
        beyond = limit + (0.1 if numbers[name] <= limit else -0.1)
        other = regime_of(**{**numbers, name: beyond})
        if other != regime:
            turns.append((abs(numbers[name] - limit) / _SCALE[name], name, limit, other))
    return min(turns)[1:] if turns else None


def _turning(name: str, value: float, limit: float, other: str, language: Language) -> str:
    label, falls = LABELS[language][name], value > limit
    if language == "ko":
        moves = "밑으로 내려가면" if falls else "위로 올라서면"
        return f"{with_particle(label, '이/가')} {limit:g}% {moves} {with_particle(other, '으로/로')} 바뀐다."
    return f"It turns to {other} if the {label} {'falls below' if falls else 'rises above'} {limit:g}%."


def _neutral(missing: list[str], language: Language) -> str:
    labels = [LABELS[language][name] for name in missing]
    if language == "ko":
        return f"주어지지 않은 {with_particle(', '.join(labels), '은/는')} 중립으로 두었다."
    return f"Not given and taken as neutral: {', '.join(labels)}."
