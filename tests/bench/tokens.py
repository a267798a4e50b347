"""How long a stage's rows take to become tokens: one after the other, in batches as a stage does
it, and read back.

    uv run python tests/bench/tokens.py BASE ROWS [--method dpo]

BASE is a base model's folder, of which the tokenizer is read; ROWS a stage's rows.parquet,
rows.jsonl or pairs.jsonl. Checks that all give the same tokens; prints seconds, rows/s and ratios.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.core.training.policy.model import load_tokenizer
from tasks.core.training.rows.encoding import encode_once, encode_rows
from tasks.core.training.rows.selection import read_rows


def main(base: Path, file: Path, method: str) -> None:
    tokenizer, rows = load_tokenizer(base), read_rows(file, method)
    print(f"{len(rows):,} rows, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as out:

        def once() -> list[dict[str, Any]]:
            return encode_once(Path(out), {}, tokenizer, rows, method, whole_text=False)

        def one_by_one() -> list[dict[str, Any]]:
            return [
                encoded
                for row in rows
                for encoded in encode_rows(tokenizer, [row], method, whole_text=False)
            ]

        first, made = timed("one after the other", one_by_one)
        for what in ("in batches, and kept", "read back"):
            seconds, same = timed(what, once)
            assert same == made, "other tokens"
            print(f"{'':24} {first / seconds:8.1f} times as fast")


def timed(
    what: str, make: Callable[[], list[dict[str, Any]]]
) -> tuple[float, list[dict[str, Any]]]:
    began = time.perf_counter()
    made = make()
    seconds = time.perf_counter() - began
    print(f"{what:24} {seconds:8.1f} s {len(made) / seconds:10,.0f} rows/s")
    return seconds, made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--method", choices=("sft", "dpo"), default="sft")
    asked = parser.parse_args()
    main(asked.base, asked.rows, asked.method)
