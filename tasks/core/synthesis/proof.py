"""The proof of a whole file: its rows one by one, so that a file of any size needs the memory of
its failures only.

Reads rows.jsonl, pairs.jsonl or questions.jsonl, or parquet with the same columns, and nothing
else.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jsonschema_rs
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.errors import RequestError
from tasks.core.kinds.base import system_prompt
from tasks.core.strategy.decisions import DECISIONS
from tasks.core.synthesis.checks import Failure, check_row, kind_of_reply

_MESSAGES = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {"role": {"type": "string"}, "content": {"type": "string"}},
        "required": ["role", "content"],
    },
}
_SHAPE = jsonschema_rs.Draft202012Validator(
    {
        "type": "object",
        "properties": {
            **dict.fromkeys(("messages", "prompt", "chosen", "rejected"), _MESSAGES),
            "reference": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {
                "type": "object",
                "properties": {
                    **dict.fromkeys(("kind", "language", "regime", "flaw"), {"type": "string"}),
                    "flaws": {"type": "array", "items": {"type": "string"}},
                    "date": {"type": ["string", "null"]},
                    "template": {"type": "integer"},
                },
            },
        },
        "anyOf": [{"required": ["messages"]}, {"required": ["prompt", "chosen", "rejected"]}],
    }
)
"""What a row must look like before its text can be judged."""


@dataclass
class Proof:
    """What was found in a file. `failed` counts rows, `by_rule` failures."""

    rows: int = 0
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    by_rule: Counter[str] = field(default_factory=Counter)

    def to_dict(self) -> dict[str, Any]:
        failures = [asdict(failure) for failure in self.failures]
        by_rule = dict(sorted(self.by_rule.items()))
        return {"rows": self.rows, "failed": self.failed, "failures": failures, "by_rule": by_rule}


def prove_file(file: Path) -> Proof:
    """Every row of the file against the truth rules.

    Raises RequestError for a file that cannot be read as rows, is empty, or holds no row about the
    strategy.
    """
    proof, ours = Proof(), False
    for number, row in enumerate(_rows(file), 1):
        problems = list(dict.fromkeys(_problems(row)))
        ours = ours or _is_ours(row)
        proof.rows = number
        proof.failed += bool(problems)
        proof.failures += [Failure(number, rule, detail) for rule, detail in problems]
        proof.by_rule.update(rule for rule, _ in problems)
    if not proof.rows:
        raise RequestError(f"{file} is empty: there is nothing to check.")
    if not ours:
        raise RequestError(
            f"{file} holds no strategy rows: none of its {proof.rows:,} rows has the strategy prompt, names a kind or"
            " answers as one. Give a rows.jsonl, pairs.jsonl or questions.jsonl of kospilot."
        )
    return proof


def _problems(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    shape = next(_SHAPE.iter_errors(row), None)
    if shape is not None:
        where = ".".join(map(str, shape.instance_path)) or "row"
        yield "form", f"{where}: {shape.message[:160]}"
        return
    try:
        yield from check_row(row)
    except RecursionError:
        yield "form", "its answer is nested too deeply to be read"


def _is_ours(row: dict[str, Any]) -> bool:
    """Whether a row is about the strategy at all, right or wrong."""
    if not _SHAPE.is_valid(row):
        return False
    asked = row.get("messages") or row["prompt"]
    named = row.get("metadata", {}).get("kind", row.get("kind"))
    if named in DECISIONS or asked[0]["content"] in (system_prompt("ko"), system_prompt("en")):
        return True
    answered = row.get("reference") or row.get("chosen", asked)[-1]["content"]
    return kind_of_reply(answered) is not None


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    try:
        yield from _parquet_rows(file) if file.suffix.lower() == ".parquet" else _lines(file)
    except FileNotFoundError:
        raise RequestError(f"There is no file {file}.") from None
    except IsADirectoryError:
        raise RequestError(
            f"{file} is a folder: name a file in it, e.g. {file / 'rows.jsonl'}."
        ) from None


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.isspace():
                continue
            try:
                row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except (ValueError, RecursionError) as error:
                raise RequestError(
                    f"{file}, line {number} is not JSON ({error}). A file to check holds one JSON object a line."
                ) from None
            if not isinstance(row, dict):
                raise RequestError(
                    f"{file}, line {number} is not a JSON object but {line[:40].decode()!r}."
                )
            yield row


def _parquet_rows(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(500):
                # A column of another row's fields is no statement of this one.
                yield from (
                    {name: told for name, told in row.items() if told is not None}
                    for row in batch.to_pylist()
                )
    except pa.ArrowInvalid as error:
        raise RequestError(f"{file} is not a parquet file that can be read ({error}).") from None
