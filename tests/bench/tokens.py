"""How long a stage's rows take to become tokens, and how much memory: one row after the other, in
batches as a stage does it, and read back.

    uv run python tests/bench/tokens.py BASE ROWS [--method dpo]

BASE is a base model's folder, of which the tokenizer is read; ROWS a stage's rows.parquet,
rows.jsonl or pairs.jsonl. Each way runs in a process of its own. Checks that all give the same
tokens; prints seconds, rows/s, ratios, and the peak of the process's memory before and after.
"""

import argparse
import hashlib
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tasks.core.training.hardware.machine import Machine, find_machine, peak_memory_gib
from tasks.core.training.policy.base_model import load_tokenizer
from tasks.core.training.rows.encoding import encode_once, encode_rows
from tasks.core.training.rows.files import RowFile
from tasks.core.training.rows.records import Row

WAYS = ("one after the other", "in batches, and kept", "read back")


@dataclass(frozen=True)
class Measured:
    seconds: float
    rows: int
    digest: str  # of all tokens
    before_gib: float  # peak memory with the libraries and the tokenizer loaded
    peak_gib: float


def main(base: Path, rows: RowFile) -> None:
    print(f"{rows.count():,} rows, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as out:
        measured = [in_a_process(way, base, rows, Path(out)) for way in WAYS]
    first = measured[0]
    for way, of_way in zip(WAYS, measured, strict=True):
        assert of_way.digest == first.digest, "other tokens"
        print(
            f"{way:24} {of_way.seconds:8.1f} s {of_way.rows / of_way.seconds:10,.0f} rows/s"
            f" {first.seconds / of_way.seconds:8.1f} times as fast"
            f" {of_way.before_gib:8.2f} GiB before, {of_way.peak_gib:.2f} GiB at the peak"
        )


def in_a_process(way: str, base: Path, rows: RowFile, out: Path) -> Measured:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (way, base, rows, out))


def measure(way: str, base: Path, rows: RowFile, out: Path) -> Measured:
    tokenizer = load_tokenizer(base)
    machine: Machine = find_machine()
    before = peak_memory_gib(machine)
    began = time.perf_counter()
    if way == WAYS[0]:
        made: list[Row] = []
        for row in rows.read():
            made += encode_rows(tokenizer, [row], rows.method, whole_text=False)
    else:
        made = encode_once(out, {}, tokenizer, rows, whole_text=False)
    seconds = time.perf_counter() - began
    return Measured(seconds, len(made), digest_of(made), before, peak_memory_gib(machine))


def digest_of(rows: Iterable[Row]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        for answer in row.answers:
            digest.update(answer.input_ids.tobytes())
            digest.update(answer.labels.tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--method", choices=("sft", "dpo"), default="sft")
    asked = parser.parse_args()
    main(asked.base, RowFile(asked.rows, asked.method))
