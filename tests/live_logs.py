"""Reasoning logs of a made-up live system: sound ones in both languages, and a folder of them."""

import json
from pathlib import Path
from typing import Any


def log(reasoning: str, signals: list[dict[str, Any]], context: Any, **more: Any) -> dict[str, Any]:
    """One log; `more` replaces or adds keys."""
    metadata = {"latency_ms": 2_400, "model": "live-7b", "market_context": context}
    return {
        "task": "signal_generation",
        "timestamp": "2025-03-04T09:31:00+09:00",
        "reasoning": reasoning,
        "signals": signals,
        "confidence": 0.8,
        "metadata": metadata,
        **more,
    }


def signal(ticker: Any, score: Any, rationale: Any) -> dict[str, Any]:
    return {"ticker": ticker, "score": score, "rationale": rationale}


def market(return_pct: float, breadth: float, momentum: float, volatility: float) -> dict[str, Any]:
    names = ("return_pct", "breadth_pct", "momentum_pct", "volatility_pct")
    return dict(zip(names, (return_pct, breadth, momentum, volatility), strict=True))


SOUND = [
    log(
        "상승 종목 비중이 42.0%에 그쳐 지수 약세가 넓게 퍼졌다."
        " 메모리 가격이 오르는 반도체는 버티지만 내수 소비는 부진하다.",
        [
            signal("005930", 0.45, "메모리 가격 상승으로 이익이 늘어난다."),
            signal("139480", -0.3, "내수 소비가 부진해 이익이 줄어든다."),
        ],
        market(-0.62, 42.0, -1.3, 17.2),
    ),
    log(
        "시장 수익률 1.42%에 상승 종목 비중 71.0%로 매수세가 고르다. 수출주 실적 기대가 커졌다.",
        [
            signal("000660", 0.8, "고대역폭 메모리 수요가 늘어 실적이 좋아진다."),
            signal("005380", 0.5, "원화 약세로 수출 채산성이 나아진다."),
            signal("105560", 0.1, "배당 매력이 하단을 받친다."),
        ],
        {**market(1.42, 71.0, 4.1, 15.8), "news": "미국 반도체 지수 강세"},
    ),
    log(
        "지수가 2.63% 밀리고 변동성이 28.4%까지 올라 단기 충격으로 본다."
        " 저베타 통신주만 방어력이 있다.",
        [
            signal("017670", 0.2, "통신 요금은 경기와 무관해 방어력이 높다."),
            signal("035720", -0.7, "성장주 할인율이 높아져 주가에 부담이다."),
        ],
        "코스피 2.63% 하락, 상승 종목 비중 12.5%, 모멘텀 -4.2%, 변동성 28.4%."
        " 외국인 매도가 이어졌다.",
    ),
    log(
        "코스피가 0.35% 오르는 데 그쳤고 오른 종목도 55.0%뿐이라 완만한 강세로 본다.",
        [signal("033780", 0.3, "배당이 안정적이고 실적이 꾸준하다.")],
        {"market_return": "0.35%", "breadth": 55.0, "regime": "mild bull"},
    ),
    log(
        "국면이 약세로 기울어 방어주를 앞에 둔다. 은행은 금리 하락에 이익이 줄어든다.",
        [
            signal("105560", -0.4, "금리 하락으로 순이자마진이 줄어든다."),
            signal("097950", 0.25, "곡물 가격 하락으로 원가 부담이 덜하다."),
        ],
        {"regime": "WEAKENING"},
    ),
    log(
        "Breadth of 41.5% is thin and the index slips 0.55%. Memory prices still rise, so chips"
        " lead, while retail suffers from weak demand.",
        [
            signal("005930", 0.4, "Rising memory prices lift earnings."),
            signal("139480", -0.35, "Weak consumer demand cuts profits."),
        ],
        market(-0.55, 41.5, -0.9, 16.1),
    ),
    log(
        "The market gains 1.31% with 69.0% of names rising, so buyers are in control. Exporters"
        " benefit from the weak won.",
        [
            signal("005380 KP", 0.6, "A weak won helps its export margins."),
            signal("000660.KS", 0.75, "Orders for memory keep rising."),
        ],
        {**market(1.31, 69.0, 3.6, 14.9), "vix": 15.2, "headline": "US chip shares rally"},
    ),
    log(
        "A fall of 3.10% with volatility at 31.0% is stress. Foreigners sell and only low-beta"
        " telecoms hold up.",
        [
            signal("017670", 0.15, "Phone bills are paid in every market."),
            signal("035420", -0.6, "Advertising budgets shrink and earnings fall."),
        ],
        "KOSPI -3.10%, breadth 14.0%, momentum -3.8%, volatility 31.0%. Foreigners sold all day.",
    ),
    log(
        "The index is up 0.42% and 58.0% of names rise, a mild advance with no rush.",
        [signal(33780, 0.2, "Steady dividends support the shares.")],
        market(0.42, 58.0, 1.1, 13.7),
    ),
    log(
        "The regime is given as weak, so defensives come first and banks lose margin as rates"
        " fall.",
        [
            signal("105560", -0.4, "Falling rates cut its interest margin."),
            signal("097950", 0.25, "Cheaper grain lowers its costs."),
        ],
        {"regime": "WEAKENING", "desk": "risk is being cut"},
    ),
]
"""Ten sound logs; write_logs gives each a day of its own."""


def write_logs(folder: Path, logs: list[Any], first_day: int = 3) -> Path:
    """Writes each log on a day of its own, of March 2025; a text is written as it is."""
    for number, told in enumerate(logs):
        day = f"2025-03-{first_day + number:02}"
        file = folder / day / f"{number:03}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(told, dict) and isinstance(told["timestamp"], str):
            told = {**told, "timestamp": told["timestamp"].replace("2025-03-04", day)}
        text = told if isinstance(told, str) else json.dumps(told, ensure_ascii=False, indent=1)
        file.write_text(text, encoding="utf-8")
    return folder
