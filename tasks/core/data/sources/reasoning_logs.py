"""The reasoning logs of a live system as rows: data.reasoning_logs=logs/reasoning, one folder a
day, one file a call.

Reads DATE/*.json, each an object with task, timestamp, reasoning, signals (a list), confidence (0
to 1) and metadata; writes one JSON line a file. metadata's `prompt`, else `market_context` or
`context`, belongs to the question; its `latency_ms` is the time the answer took. The answer is
JSON: analysis, signals, confidence.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard

from tasks.core.data.chat import Chat, Drop, Row, Source, make_chat
from tasks.core.files.json_files import write_encoded
from tasks.core.settings.data import Data

LOGS = "reasoning_logs"
_NEEDED = ("task", "reasoning", "signals", "confidence")
_CONTEXTS = ("prompt", "market_context", "context")


def gather_logs(files: Sequence[Path], target: Path) -> None:
    """Writes every log as one line.

    A log that is no JSON (half written) becomes a line that is counted as dropped.
    """
    write_encoded(target, map(_line_of, files))


def _line_of(file: Path) -> bytes:
    """A log in ASCII: it may hold half of a surrogate pair, which UTF-8 cannot say."""
    try:
        log = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError):
        log = f"{file.name} is not JSON"
    return f"{json.dumps(log)}\n".encode("ascii")


def reasoning_source(data: Data) -> Source:
    """The source that data.reasoning_logs's settings describe."""
    return Source(
        name=LOGS,
        columns=tuple((name,) for name in _NEEDED),
        system=None,
        to_chat=partial(to_chat, data=data),
        optional=("timestamp", "metadata"),
    )


def to_chat(row: Row, data: Data) -> Chat | Drop:
    """The conversation of a log that passes the settings' filters, or why the log is dropped."""
    metadata = row.get("metadata") or {}
    if not isinstance(metadata, dict):
        return "not an object in metadata"
    fault = _find_log_fault(row, metadata, data)
    if fault:
        return fault
    return _make_log_chat(row, metadata)


def _find_log_fault(row: Row, metadata: dict[str, Any], data: Data) -> Drop | None:
    """Why a log is dropped, or None if it passes."""
    signals = row.get("signals")
    if not isinstance(signals, list):
        return "not a list in signals"
    confidence = row.get("confidence")
    if not _is_number(confidence) or not 0 <= confidence <= 1:
        return "not 0 to 1 in confidence"
    if confidence < data.reasoning_min_confidence:
        return f"confidence below {data.reasoning_min_confidence:g}"
    if len(signals) < data.reasoning_min_signals:
        return f"fewer signals than {data.reasoning_min_signals}"
    longest = data.reasoning_max_latency_ms
    latency = metadata.get("latency_ms")
    if longest and _is_number(latency) and latency > longest:
        return f"slower than {longest} ms"
    return None


def _make_log_chat(row: Row, metadata: dict[str, Any]) -> Chat | Drop:
    chat = make_chat(row, None, "task", "reasoning")
    if isinstance(chat, str):
        return chat
    task, reasoning = chat.turns
    parts = [task.text, str(row.get("timestamp") or "")[:10], _context_of(metadata)]
    question = "\n\n".join(part for part in parts if part)
    answer = {
        "analysis": reasoning.text,
        "signals": row["signals"],
        "confidence": row["confidence"],
    }
    log = {"task": question, "reasoning": _as_text(answer)}
    return make_chat(log, None, "task", "reasoning")


def _context_of(metadata: dict[str, Any]) -> str:
    """The first context that is not empty, as text; empty if there is none."""
    for name in _CONTEXTS:
        if metadata.get(name):
            return _as_text(metadata[name])
    return ""


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
