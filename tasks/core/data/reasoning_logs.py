"""The reasoning logs of a live system as rows: data.reasoning_logs=logs/reasoning, one folder a
day, one file a call.

Reads DATE/*.json, each an object with task, timestamp, reasoning, signals (a list), confidence (0
to 1) and metadata; writes one JSON line a file. metadata's `prompt`, else `market_context` or
`context`, belongs to the question; its `latency_ms` is the time the answer took. The answer is
JSON: analysis, signals, confidence.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.core.data.chat import Chat, Drop, Row, Source, make_chat
from tasks.core.errors import RequestError
from tasks.core.settings.tree import Data

LOGS = "reasoning_logs"
_CONTEXT = ("prompt", "market_context", "context")


def find_logs(folder: Path) -> list[Path]:
    """The log files, day by day. Raises RequestError where there is none."""
    files = sorted(file for file in folder.glob("*/*.json") if file.is_file())
    if not files:
        what = "holds no DATE/*.json" if folder.is_dir() else "is no folder"
        raise RequestError(
            f"data.{LOGS}={folder} {what}. Name the folder of the days, e.g. logs/reasoning."
        )
    return files


def gather_logs(files: Sequence[Path], target: Path) -> None:
    """Writes every log as one line. One that is no JSON (half written) becomes a line that is
    counted as dropped.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8") as lines:
        for file in files:
            try:
                log = json.loads(file.read_text(encoding="utf-8-sig"))
            except (ValueError, RecursionError):
                log = f"{file.name} is not JSON"
            lines.write(json.dumps(log) + "\n")


def reasoning_source(data: Data) -> Source:
    """The source that data.reasoning_logs's settings describe."""

    def to_chat(row: Row) -> Chat | Drop:
        metadata = row.get("metadata") or {}
        confidence, signals = row.get("confidence"), row.get("signals")
        if not isinstance(metadata, dict):
            return "not an object in metadata"
        if not isinstance(signals, list):
            return "not a list in signals"
        if not _is_number(confidence) or not 0 <= confidence <= 1:
            return "not 0 to 1 in confidence"
        if confidence < data.reasoning_min_confidence:
            return f"confidence below {data.reasoning_min_confidence:g}"
        if len(signals) < data.reasoning_min_signals:
            return f"fewer signals than {data.reasoning_min_signals}"
        latency = metadata.get("latency_ms")
        if (
            data.reasoning_max_latency_ms
            and _is_number(latency)
            and latency > data.reasoning_max_latency_ms
        ):
            return f"slower than {data.reasoning_max_latency_ms} ms"
        return _make_row(row, metadata)

    needed = ("task", "reasoning", "signals", "confidence")
    return Source(
        "reasoning_logs",
        tuple((name,) for name in needed),
        None,
        to_chat,
        optional=("timestamp", "metadata"),
    )


def _make_row(row: Row, metadata: dict[str, Any]) -> Chat | Drop:
    chat = make_chat(row, None, "task", "reasoning")
    if isinstance(chat, str):
        return chat
    (_, task), (_, reasoning) = chat.turns
    context = next((metadata[name] for name in _CONTEXT if metadata.get(name)), None)
    parts = [task, str(row.get("timestamp") or "")[:10], _to_text(context) if context else ""]
    answer = {"analysis": reasoning, "signals": row["signals"], "confidence": row["confidence"]}
    question = "\n\n".join(filter(None, parts))
    return make_chat({"task": question, "reasoning": _to_text(answer)}, None, "task", "reasoning")


def _to_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
