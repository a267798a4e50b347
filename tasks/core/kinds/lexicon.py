"""What numbers and words are called in prompts, in both languages, and how they are printed.

It is one lexicon for the prompts and for whoever reads them: a number's label stands before it,
once, and no prompt holds a number without one, apart from dates and ticker codes. The market's
numbers have several names and forms, as people use them: `called` draws from them. Reads and
writes no file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tasks.core.records.facts import Language


@dataclass(frozen=True)
class Label:
    """A number's or a word's name in prompts.

    `decimals` is how many digits are printed after the point, and what is printed is what counts.
    Prompts print the names in `also` as well; `heard` are further ones that people type.
    """

    ko: str
    en: str
    decimals: int = 0
    unit: str = "%"
    signed: bool = False
    also: Mapping[Language, tuple[str, ...]] = field(default_factory=dict)
    heard: Mapping[Language, tuple[str, ...]] = field(default_factory=dict)

    def of(self, language: Language) -> str:
        """Returns the name in this language."""
        if language == "ko":
            return self.ko
        return self.en

    def printed_names(self, language: Language) -> tuple[str, ...]:
        """Returns every name that prompts of this language print, the usual one first."""
        return (self.of(language), *self.also.get(language, ()))

    def names(self, language: Language) -> tuple[str, ...]:
        """Returns every name by which it is known to a reader."""
        return (*self.printed_names(language), *self.heard.get(language, ()))


MARKET = {
    "return_pct": Label(
        "시장 수익률",
        "market return",
        2,
        also={
            "ko": ("코스피", "지수", "코스피 등락률"),
            "en": ("KOSPI", "the index", "KOSPI move"),
        },
        heard={
            "ko": ("KOSPI", "코스피 지수", "코스피 수익률", "수익률"),
            "en": ("KOSPI return", "index return", "index", "return", "market"),
        },
    ),
    "breadth_pct": Label(
        "상승 종목 비중",
        "advancing breadth",
        1,
        also={
            "ko": ("상승 종목 비율", "오른 종목 비중"),
            "en": ("breadth", "advancers", "share of rising stocks"),
        },
        heard={"ko": ("상승 종목", "상승 비중", "상승 비율", "breadth"), "en": ("market breadth",)},
    ),
    "momentum_pct": Label(
        "10일 모멘텀",
        "10-day momentum",
        2,
        also={"ko": ("모멘텀", "10일 누적 수익률"), "en": ("momentum", "10-day return")},
        heard={"ko": ("momentum",), "en": ("ten-day momentum", "10d momentum")},
    ),
    "volatility_pct": Label(
        "연율 변동성",
        "annualized volatility",
        2,
        also={"ko": ("변동성", "연환산 변동성"), "en": ("volatility", "realized volatility")},
        heard={"ko": ("volatility",), "en": ("vol", "annualised volatility")},
    ),
}
"""The four numbers of the regime rule."""

CONTEXT = {
    "us_return_pct": Label("S&P 500 등락률", "S&P 500 move", 2, signed=True),
    "vix": Label("VIX", "VIX", 1, unit=""),
    "usdkrw": Label("원/달러 환율", "USD/KRW rate", 1, unit=""),
    "usdkrw_change_pct": Label("원/달러 등락률", "USD/KRW move", 2, signed=True),
    "foreign_net_buy_100m_krw": Label(
        "외국인 순매수",
        "net foreign buying",
        0,
        unit="won",
        signed=True,
        also={"en": ("foreign net buying",)},
        heard={"ko": ("외국인",), "en": ("foreigners bought", "foreigners net bought")},
    ),
    "sentiment_points": Label("투자 심리 지수", "sentiment index", 0, unit=""),
    "nav_100m_krw": Label("운용자산", "fund NAV", 0, unit="won"),
    "drawdown_pct": Label("최대 낙폭(MDD)", "maximum drawdown (MDD)", 1),
    "leverage_x": Label("현재 레버리지", "current leverage", 2, unit="x"),
    "net_now_pct": Label("현재 순노출", "current net exposure", 0),
    "max_weight_pct": Label("종목당 한도", "limit per stock", 0),
    "shock_pct": Label("충격 크기", "size of the shock", 1),
}
"""The other numbers of a question, which stand after the market's."""

STOCK = {
    "per": Label("PER", "PER", 1, unit=""),
    "pbr": Label("PBR", "PBR", 2, unit=""),
    "ev_ebitda": Label("EV/EBITDA", "EV/EBITDA", 1, unit=""),
    "roe_pct": Label("ROE", "ROE", 1),
    "beta": Label("베타", "beta", 2, unit=""),
    "weight_pct": Label("비중", "weight", 0),
    "pnl_pct": Label("손익", "P&L", 1, signed=True),
    "gap_pct": Label("시가 갭", "opening gap", 1, signed=True),
    "volume_x": Label("거래량 배율", "volume ratio", 1, unit="x"),
    "f_score": Label("F-Score", "F-Score", 0, unit=""),
}
"""The numbers of one stock, on its line."""

SELLING = {
    "ko": ("외국인 순매도",),
    "en": ("net foreign selling", "foreign net selling"),
}
"""What foreign_net_buy_100m_krw is called if it is negative; the amount then has no sign."""
SELLING_HEARD: Mapping[Language, tuple[str, ...]] = {
    "ko": (),
    "en": ("foreigners sold", "foreigners net sold"),
}
"""Further names of it that people type."""

REGIME_WORD = Label("직전 국면", "previous regime")
"""Stands before the regime in Facts.words["previous_regime"]."""

CURRENT_REGIME_WORD = Label("현재 국면", "current regime")
"""Stands before the regime in Facts.words["current_regime"]: given, and not to be worked out."""

STOCK_WORDS: dict[str, tuple[Label, dict[str, Label]]] = {
    "us_correlation": (
        Label("미국 상관", "US correlation"),
        {
            "high": Label("높음", "high"),
            "medium": Label("중간", "medium"),
            "low": Label("낮음", "low"),
        },
    ),
    "tier": (
        Label("시총", "cap tier"),
        {
            "large": Label("초대형", "large"),
            "mid_large": Label("대형", "mid-large"),
            "mid": Label("중형", "mid"),
            "small_mid": Label("중소형", "small-mid"),
        },
    ),
}
"""The words of one stock, on its line: the label, then one of the values."""

SHOCKS = {
    "index_drop": Label("코스피가 하루에 그만큼 급락한다면", "KOSPI drops by that much in a day"),
    "index_rally": Label("코스피가 하루에 그만큼 급등한다면", "KOSPI jumps by that much in a day"),
    "us_selloff": Label(
        "미국 증시가 밤사이 그만큼 급락한다면", "US shares sell off by that much overnight"
    ),
    "won_slump": Label("원화 가치가 그만큼 급락한다면", "the won slumps by that much"),
    "oil_spike": Label("국제 유가가 그만큼 급등한다면", "crude oil jumps by that much"),
    "rate_hike": Label("금리가 그만큼(%p) 오른다면", "interest rates rise by that many points"),
    "foreign_exodus": Label(
        "외국인이 보유 주식의 그만큼을 판다면", "foreigners sell that share of their holdings"
    ),
}
"""The shocks of strategy.rules.SHOCKS in words; "that much" is the number labelled shock_pct."""


def printed(name: str, value: float, language: Language) -> str:
    """Returns a number as prompts and rationales print it, with its unit."""
    label = MARKET.get(name) or CONTEXT.get(name) or STOCK[name]
    if label.unit == "won":
        return won(int(value), language)
    sign = "+" if label.signed else ""
    return f"{value:{sign}.{label.decimals}f}{label.unit}"


@dataclass(frozen=True)
class Called:
    """A number as one question says it."""

    name: str
    value: str


FELL, ROSE, FLAT = 0, 1, 2
MOVES: dict[Language, tuple[tuple[str, ...], ...]] = {
    "ko": (("하락", "내림", "급락", "빠", "밀"), ("상승", "오름", "급등", "올", "오르"), ("보합",)),
    "en": (("down", "off", "fell", "lost"), ("up", "rose", "gained"), ("flat at", "unchanged at")),
}
"""How a return is told without a sign; prompts print the first two words of each."""

_OF_AN_INDEX = ("코스피", "지수", "KOSPI", "the index")
"""Names of which one says that they rose or fell; of a return one does not."""


def called(name: str, value: float, language: Language, seed: int) -> Called:
    """Returns the number's name and form in a question: those that the seed of its wording draws.

    Half of all numbers have their usual name; all others come equally often.
    """
    if name == "foreign_net_buy_100m_krw" and value < 0 and seed & 1:
        sellings = SELLING[language]
        return Called(sellings[seed // 2 % len(sellings)], printed(name, -value, language))
    label = MARKET.get(name) or CONTEXT[name]
    names = label.printed_names(language)
    draw = seed // _DRAW_OF.get(name, 1) % _DRAWS
    called_name = names[draw // 2 % len(names)] if draw & 1 else names[0]
    if name not in MARKET:
        return Called(called_name, printed(name, value, language))
    size = _shortened(value, label, draw & 8)
    if called_name in _OF_AN_INDEX and draw & 16:
        return Called(called_name, _told_as_move(value, size, language, draw & 32))
    plus = "+" if name in _SIGNED and value > 0 and draw & 64 else ""
    return Called(called_name, f"{plus}{size}%")


_DRAWS = 128 * 105
_DRAW_OF = {"return_pct": 3, "breadth_pct": 1_009, "momentum_pct": 30_011, "volatility_pct": 70_001}
"""Divisors that make the draws of a question's numbers independent of one another."""
_SIGNED = ("return_pct", "momentum_pct")


def _shortened(value: float, label: Label, without_zeros: int) -> str:
    """A number with all its decimals, or without zeros at its end: -2.30 is also -2.3."""
    digits = f"{value:.{label.decimals}f}"
    return digits.rstrip("0").rstrip(".") if without_zeros else digits


def _told_as_move(value: float, size: str, language: Language, draw: int) -> str:
    move = FLAT
    if value:
        move = FELL if value < 0 else ROSE
    words = MOVES[language][move]
    word = words[1 if draw and len(words) > 1 else 0]
    size = size.removeprefix("-")
    return f"{size}% {word}" if language == "ko" else f"{word} {size}%"


def won(hundred_millions: int, language: Language) -> str:
    """Returns an amount of 억 won in words: 1조 2,300억원, or KRW 1,230.0 bn."""
    sign = "-" if hundred_millions < 0 else ""
    amount = abs(hundred_millions)
    if language == "en":
        return f"{sign}KRW {amount / 10:,.1f} bn"
    trillions, rest = divmod(amount, 10_000)
    parts = []
    if trillions:
        parts.append(f"{trillions}조")
    if rest or not trillions:
        parts.append(f"{rest:,}억")
    return f"{sign}{' '.join(parts)}원"
