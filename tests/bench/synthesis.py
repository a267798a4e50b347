"""Seconds, rows a second and peak memory of making and checking synthetic rows and pairs, on the demo market.

    python -m tests.bench.synthesis [tokenizer.json] [ROWS] [PAIRS]      5,000 rows and 2,000 pairs by default

Without a tokenizer one that splits at white space is made on the spot; a real one costs more.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers

from tasks.core.market.demo import ensure_demo_market
from tasks.core.market.snapshots import build_market
from tasks.core.settings import Market, Pairs, Synthesis
from tasks.core.synthesis.generate import synthesize
from tasks.core.synthesis.pairs import build_pairs
from tasks.core.synthesis.proof import prove_file


def main(tokenizer: str = "", rows: str = "5000", pairs: str = "2000") -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        file = Path(tokenizer) if tokenizer else _splitting(folder / "tokenizer.json")
        ensure_demo_market(folder / "daily")
        build_market(folder / "daily", Market(), folder)
        settings = Synthesis(rows=int(rows)), Pairs(rows=int(pairs))
        print(f"{'':12} {'rows':>6} {'seconds':>8} {'rows/s':>7} {'peak MB':>8}")
        made = _timed("make rows", int(rows), lambda: synthesize(folder / "train", file, settings[0], folder))
        _timed("make pairs", int(pairs), lambda: build_pairs(folder / "rows.jsonl", settings[1], folder))
        for name in ("rows", "pairs"):
            proof = _timed(f"check {name}", int(rows if name == "rows" else pairs), _check(folder / f"{name}.jsonl"))
            assert not proof.failed
        phrases = made["variety"]["phrases_per_1000_rows"]
        print(f"{made['tokens'] / int(rows):.0f} tokens a row; different phrases per 1,000 rows: {phrases}")


def _check(file: Path) -> Callable[[], Any]:
    return lambda: prove_file(file)


def _timed(name: str, number: int, work: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - started
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    print(f"{name:12} {number:6,} {seconds:8.2f} {number / seconds:7,.0f} {peak:8.0f}")
    return found


def _splitting(file: Path) -> Path:
    words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(file))
    return file


if __name__ == "__main__":
    main(*sys.argv[1:])
