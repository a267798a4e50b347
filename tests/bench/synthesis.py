"""Seconds, rows a second and peak memory of making and checking synthetic rows and pairs, on the
demo market.

    python -m tests.bench.synthesis [tokenizer.json] [ROWS] [PAIRS]      5,000 rows and 2,000 pairs
        by default

Without a tokenizer one that splits at white space is made on the spot; a real one costs more. Each
part is measured in a process of its own, after its imports: seconds, processor seconds of all
cores, the peak with that of the largest child process added, and what the imports alone had taken
of it.
"""

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers

from tasks.core.market.demo import ensure_demo_market
from tasks.core.settings.tree import Market, Pairs, Synthesis
from tasks.core.synthesis.generate import synthesize
from tasks.core.synthesis.kind_rows import Source
from tasks.core.synthesis.pairs import build_pairs
from tasks.core.synthesis.proof import prove_file


def main(tokenizer: str = "", rows: str = "5000", pairs: str = "2000") -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        file = Path(tokenizer) if tokenizer else _splitting(folder / "tokenizer.json")
        _build_market(folder)
        _print_header()
        report = _show("make rows", folder, file, int(rows))
        _show("make pairs", folder, file, int(pairs))
        _show("check rows", folder, file, int(rows))
        _show("check pairs", folder, file, int(pairs))
        phrases = report["variety"]["phrases_per_1000_rows"]
        tokens = report["tokens"] / int(rows)
        print(f"{tokens:.0f} tokens a row; different phrases per 1,000 rows: {phrases}")


def _print_header() -> None:
    measured = f"{'rows':>6} {'seconds':>8} {'CPU s':>6} {'rows/s':>7}"
    print(f"{'':12} {measured} {'peak MB':>8} {'imports':>8}")


def _show(part: str, folder: Path, tokenizer: Path, number: int) -> dict[str, Any]:
    """Measures a part in a fresh process, prints its line and returns what it reported."""
    program = [sys.executable, "-m", "tests.bench.synthesis", "--measure"]
    command = [*program, part, str(folder), str(tokenizer), str(number)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures = json.loads(done.stdout)
    seconds = figures["seconds"]
    print(
        f"{part:12} {number:6,} {seconds:8.2f} {figures['cpu_s']:6.2f} {number / seconds:7,.0f}"
        f" {figures['peak_mb']:8.0f} {figures['imports_mb']:8.0f}"
    )
    return figures["report"]


def _measure(part: str, folder: Path, tokenizer: Path, number: int) -> None:
    imports, started, cpu = _peak_mb(), time.perf_counter(), _cpu_s()
    report = _work(part, folder, tokenizer, number)
    figures = {"seconds": time.perf_counter() - started, "cpu_s": _cpu_s() - cpu}
    print(json.dumps({**figures, "peak_mb": _peak_mb(), "imports_mb": imports, "report": report}))


def _work(part: str, folder: Path, tokenizer: Path, number: int) -> dict[str, Any]:
    if part == "make rows":
        return synthesize(Source(folder / "train", tokenizer, Synthesis(rows=number)), folder)
    if part == "make pairs":
        return build_pairs(folder / "rows.jsonl", tokenizer, Pairs(rows=number), folder)
    proof = prove_file(folder / f"{part.removeprefix('check ')}.jsonl")
    assert not proof.failed
    return proof.to_dict()


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _peak_mb() -> float:
    """This process's peak and its largest child's. Linux's ru_maxrss of a process itself starts
    from its parent's.
    """
    unit = 1e6 if sys.platform == "darwin" else 1e3
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="ascii")
        own = int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])
    return (own + child) / unit


def _build_market(folder: Path) -> None:
    from tasks.core.market.artifact import build_market  # noqa: PLC0415  a measured process does without DuckDB

    ensure_demo_market(folder / "daily")
    build_market(folder / "daily", Market(), folder)


def _splitting(file: Path) -> Path:
    words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(file))
    return file


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        _measure(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
    else:
        main(*sys.argv[1:])
