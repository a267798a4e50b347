"""The reasoning logs of a live system, read and held against the form that rows are made of.

Reads DATE/NAME.json, each an object with task, timestamp, reasoning, signals (ticker, score -1 to
1, rationale), confidence (0 to 1) and metadata.
"""

import json
import math
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from tasks.core.chat.special_tokens import SPECIAL_TOKEN
from tasks.core.kinds.judging.sentences import read_text
from tasks.core.kinds.judging.substance import language_faults
from tasks.core.records.facts import Language
from tasks.core.records.logs import Log, Signal
from tasks.core.scripts import HANGUL, HANJA, visible
from tasks.core.settings.synthesis import Synthesis
from tasks.core.strategy.rules import NUMBERS, regime_of
from tasks.core.strategy.universe import names
from tasks.core.synthesis.log_context import Context, context_of
from tasks.core.synthesis.log_faults import Unsound

EXAMPLE = (
    '{"task": "signals", "timestamp": "2025-03-04T09:01:02+09:00", "reasoning": "Breadth of 42% is'
    ' thin and chips lead.", "signals": [{"ticker": "005930", "score": 0.4, "rationale": "Memory'
    ' prices rise."}], "confidence": 0.8, "metadata": {"latency_ms": 900, "market_context":'
    ' {"return_pct": -0.6, "breadth_pct": 42.0, "momentum_pct": -1.2, "volatility_pct": 16.0}}}'
)
"""A log that a row is made of."""

_NEEDED = ("task", "timestamp", "reasoning", "signals", "confidence", "metadata")
_LARGEST = 1_000_000  # bytes
_MOST_DIGITS = 30
_KOREA = timezone(timedelta(hours=9))


def name_of(file: Path) -> str:
    """Returns what reports call a log: DATE/NAME.json."""
    return f"{file.parent.name}/{file.name}"


def read_log(file: Path, synthesis: Synthesis) -> Log:
    """Returns a log that is sound in its form and passes the settings' filters.

    Raises Unsound with the reason if it does not.
    """
    raw = _read(file)
    missing = [key for key in _NEEDED if raw.get(key) is None]
    if missing:
        raise Unsound("missing keys", ", ".join(missing))
    metadata = raw["metadata"]
    if not isinstance(metadata, dict):
        raise Unsound("no object in metadata", _shown(metadata))
    signals = tuple(sorted(_signals(raw["signals"]), key=lambda signal: signal.ticker))
    confidence = _fraction(raw["confidence"], 0, "confidence")
    _filter(confidence, len(signals), metadata.get("latency_ms"), synthesis)
    reasoning = _text(raw["reasoning"], "reasoning")
    language = _language([reasoning, *(signal.rationale for signal in signals)])
    context = _whole_context(raw, metadata)
    return Log(
        name=name_of(file),
        day=_day(raw["timestamp"]),
        language=language,
        reasoning=reasoning,
        signals=signals,
        confidence=confidence,
        numbers=context.numbers,
        words=context.words,
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _LARGEST:
            raise Unsound("no JSON", f"it has more than {_LARGEST:,} bytes")
        text = file.read_text(encoding="utf-8-sig")
        # Programs write NaN where there is no value.
        raw = json.loads(text, parse_constant=lambda _: None, parse_int=_short_integer)
        json.dumps(raw, ensure_ascii=False).encode()  # half a character is no text
    except (OSError, ValueError, RecursionError) as error:
        raise Unsound("no JSON", str(error)[:80]) from None
    if not isinstance(raw, dict):
        raise Unsound("no JSON object", _shown(raw))
    return raw


def _short_integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def _filter(confidence: float, signals: int, latency: Any, synthesis: Synthesis) -> None:
    """Raises Unsound if the log does not pass the settings' filters."""
    least, longest = synthesis.logs_min_confidence, synthesis.logs_max_latency_ms
    if confidence < least:
        raise Unsound(f"confidence below {least:g}", f"{confidence:g}")
    fewest, most = synthesis.logs_min_signals, synthesis.logs_max_signals
    if not fewest <= signals <= most:
        raise Unsound(f"not {fewest} to {most} signals", str(signals))
    is_number = isinstance(latency, int | float) and not isinstance(latency, bool)
    if longest and is_number and latency > longest:
        raise Unsound(f"slower than {longest} ms", f"{latency:g} ms")


# The parts of a log.


def _signals(raw: Any) -> Iterator[Signal]:
    if not isinstance(raw, list):
        raise Unsound("no list of signals", _shown(raw))
    seen: set[str] = set()
    for entry in raw:
        if not isinstance(entry, dict):
            raise Unsound("no list of signals", f"{_shown(entry)} is no object")
        ticker = _ticker(entry)
        if ticker in seen:
            raise Unsound("a ticker twice", ticker)
        seen.add(ticker)
        rationale = _text(entry.get("rationale") or entry.get("reason"), "rationale")
        yield Signal(ticker, _fraction(entry.get("score"), -1, "score"), rationale)


_TICKER = re.compile(r"A?(?P<code>\d[0-9A-Z]{5})(?:[ .](?:KP|KS|KQ|KOSPI|KOSDAQ))?")


def _ticker(entry: dict[str, Any]) -> str:
    """Returns the six characters of a ticker that the universe has."""
    told = entry.get("ticker")
    if isinstance(told, int) and not isinstance(told, bool):
        told = f"{told:06d}"
    found = _TICKER.fullmatch(str(told).strip().upper())
    known = names(found["code"]) if found else ()
    if not found or not known:
        raise Unsound("unknown ticker", _shown(entry.get("ticker")))
    if entry.get("name") not in (None, *known):
        raise Unsound("unknown ticker", f"{found['code']} is {known[0]}, not {entry['name']}")
    return found["code"]


def _fraction(value: Any, low: int, key: str) -> float:
    """Returns a number from `low` to 1."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not low <= value <= 1:
        raise Unsound(f"{key} not {low} to 1", _shown(value))
    return float(value)


def _text(value: Any, key: str) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not text:
        raise Unsound(f"no text in {key}", _shown(value))
    _refuse_signs(text)
    return text


def _refuse_signs(text: str) -> None:
    """Raises Unsound if a text holds Hanja, or what steers a terminal or a chat template."""
    if HANJA.search(text):
        raise Unsound("Hanja", _shown(text))
    if SPECIAL_TOKEN.search(text):
        raise Unsound("a chat template's token", _shown(text))
    if visible(text) != text:
        raise Unsound("control characters", _shown(text))


def _language(texts: list[str]) -> Language:
    """Returns the one language of the log's texts."""
    language: Language = "ko" if HANGUL.search(texts[0]) else "en"
    for text in texts:
        for fault in language_faults(read_text(text, language), language):
            raise Unsound("mixed languages", f"{fault}: {text[:60]}")
    return language


def _day(timestamp: Any) -> str:
    """Returns the day in Korea of a time as ISO 8601 or in seconds since 1970."""
    try:
        if isinstance(timestamp, int | float):
            return datetime.fromtimestamp(timestamp, _KOREA).date().isoformat()
        time = datetime.fromisoformat(str(timestamp).strip())
    except (ValueError, OverflowError, OSError):
        raise Unsound("no time in timestamp", _shown(timestamp)) from None
    return (time.astimezone(_KOREA) if time.tzinfo else time).date().isoformat()


def _whole_context(raw: dict[str, Any], metadata: dict[str, Any]) -> Context:
    """Returns the context with its notes, and with a regime only where no number says which."""
    context = context_of(raw, metadata)
    task = raw["task"]
    if isinstance(task, str) and " " in task.strip():  # a sentence, and no name of a program's
        context.quoted.insert(0, task.strip())
    notes = "\n".join(" ".join(line.split()) for line in context.quoted if line.strip())
    if notes:
        _refuse_signs(notes)
        context.words["notes"] = notes
    told = context.words.get("current_regime")
    if not context.numbers.keys() & set(NUMBERS):
        if told is None:
            raise Unsound("nothing of the market", "no number of the rule, and no regime")
        return context
    context.words.pop("current_regime", None)
    known = [context.numbers.get(name) for name in NUMBERS]
    if told and None not in known:
        right = regime_of(**{name: context.numbers[name] for name in NUMBERS})
        if told != right:
            raise Unsound("another regime", f"{told}, the rule says {right}")
    return context


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:60]
