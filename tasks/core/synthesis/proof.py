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
from tasks.core.files.foreign import refuse_pointer
from tasks.core.files.json_files import LineError, numbered_lines
from tasks.core.kinds import ALL_KINDS
from tasks.core.kinds.base import system_prompt
from tasks.core.synthesis.checks import check_row, kind_of_reply
from tasks.core.synthesis.problems import Failure, Problem

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_MESSAGES = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {"role": _TEXT, "content": _TEXT},
        "required": ["role", "content"],
    },
}
_METADATA = {
    "type": "object",
    "properties": {
        "kind": _TEXT,
        "language": _TEXT,
        "regime": _TEXT,
        "flaw": _TEXT,
        "flaws": _TEXTS,
        "date": {"type": ["string", "null"]},
        "template": {"type": "integer"},
        "simulated": _TEXTS,
    },
}
_SHAPE = jsonschema_rs.Draft202012Validator(
    {
        "type": "object",
        "properties": {
            "messages": _MESSAGES,
            "prompt": _MESSAGES,
            "chosen": _MESSAGES,
            "rejected": _MESSAGES,
            "reference": _TEXT,
            "kind": _TEXT,
            "metadata": _METADATA,
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
        """Returns the proof as JSON can hold it."""
        return {
            "rows": self.rows,
            "failed": self.failed,
            "failures": [asdict(failure) for failure in self.failures],
            "by_rule": dict(sorted(self.by_rule.items())),
        }


def prove_file(file: Path) -> Proof:
    """Holds every row of the file against the truth rules.

    Raises RequestError if the file cannot be read as rows, is empty, or holds no row about the
    strategy.
    """
    refuse_pointer(file)
    proof = Proof()
    holds_our_rows = False
    for number, row in enumerate(rows_of(file), 1):
        problems = dict.fromkeys(_problems(row))
        holds_our_rows = holds_our_rows or _is_ours(row)
        proof.rows = number
        proof.failed += bool(problems)
        for problem in problems:
            proof.failures.append(Failure(number, problem.rule, problem.detail))
            proof.by_rule[problem.rule] += 1
    if not proof.rows:
        raise RequestError(f"{file} is empty: there is nothing to check.")
    if not holds_our_rows:
        raise RequestError(
            f"{file} holds no strategy rows: none of its {proof.rows:,} rows has the strategy"
            " prompt, names a kind or answers as one. Give a rows.jsonl, pairs.jsonl or"
            " questions.jsonl of kospilot."
        )
    return proof


def form_problem(row: dict[str, Any]) -> str | None:
    """Returns what is wrong with the form of a row, or None if its text can be judged."""
    error = next(_SHAPE.iter_errors(row), None)
    if error is None:
        return None
    path = ".".join(map(str, error.instance_path)) or "row"
    return f"{path}: {error.message[:160]}"


def _problems(row: dict[str, Any]) -> Iterator[Problem]:
    problem = form_problem(row)
    if problem:
        yield Problem("form", problem)
        return
    try:
        yield from check_row(row)
    except RecursionError:
        yield Problem("form", "its answer is nested too deeply to be read")


def _is_ours(row: dict[str, Any]) -> bool:
    """Whether a row is about the strategy at all, right or wrong."""
    if not _SHAPE.is_valid(row):
        return False
    messages = row.get("messages") or row["prompt"]
    kind = row.get("metadata", {}).get("kind", row.get("kind"))
    if kind in (known.name for known in ALL_KINDS):
        return True
    if messages[0]["content"] in (system_prompt("ko"), system_prompt("en")):
        return True
    reply = row.get("reference") or row.get("chosen", messages)[-1]["content"]
    return kind_of_reply(reply) is not None


def rows_of(file: Path) -> Iterator[dict[str, Any]]:
    """Yields the rows of a JSONL or parquet file. Raises RequestError for one that is neither."""
    try:
        if file.suffix.lower() == ".parquet":
            yield from _rows_of_parquet(file)
        else:
            yield from _rows_of_lines(file)
    except LineError as error:
        raise RequestError(f"{error} A file to check holds one JSON object a line.") from None
    except FileNotFoundError:
        raise RequestError(f"There is no file {file}.") from None
    except IsADirectoryError:
        raise RequestError(
            f"{file} is a folder: name a file in it, e.g. {file / 'rows.jsonl'}."
        ) from None


def _rows_of_lines(file: Path) -> Iterator[dict[str, Any]]:
    for number, row in numbered_lines(file):
        if not isinstance(row, dict):
            excerpt = json.dumps(row, ensure_ascii=False)[:40]
            raise RequestError(f"{file}, line {number} is not a JSON object but {excerpt}.")
        yield row


def _rows_of_parquet(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(500):
                for row in batch.to_pylist():
                    # A column of another row's fields is no statement of this one.
                    yield {name: value for name, value in row.items() if value is not None}
    except pa.ArrowInvalid as error:
        raise RequestError(f"{file} is not a parquet file that can be read ({error}).") from None
