"""How long normalize takes for 200,000 rows, and how much memory: prints seconds, rows/s and peak
memory.

    uv run python tests/bench/normalize.py [--rows 200000] [--published] [--near 0.8] [--data
        FOLDER] [--keep FOLDER]

Generates the five sources in their published columns and formats, with their dirt: parquet, CSV,
JSON lines; Korean and English; mojibake, nulls, newline-only and non-string values, duplicates.
FOLDER's sentiment/fingpt_format.jsonl is among them where it is there (default: ../shared/data
beside the repository). --published makes as many rows as the hub's data sets have. The counts must
add up to the input exactly.
"""

import argparse
import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.data.normalize import normalize
from tasks.core.kinds.base import system_prompt
from tasks.core.settings.data import Data

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
PUBLISHED = {
    "finance_instruct": 518_185,
    "sujet_finance": 177_597,
    "krx_won": 86_007,
    "trading_signals": 30_000,
    "fin_sentiment": 76_772,
}
SURPLUS = 1.2  # rows generated for each row asked for
KOREAN = (
    *("시장", "금리", "환율", "상승", "하락", "삼성전자", "반도체", "수급", "외국인", "기관"),
    *("순매수", "실적", "영업이익", "배당", "변동성", "위험", "관리", "전략", "비중", "확대"),
)
ENGLISH = (
    *(
        "the",
        "market",
        "rates",
        "earnings",
        "of",
        "revenue",
        "growth",
        "margin",
        "and",
        "volatility",
    ),
    *("risk", "hedge", "index", "fund", "bond", "yield", "in"),
)
DIRT = 0.06  # of the rows


def sentences(words: tuple[str, ...], generator: random.Random, ending: str) -> list[str]:
    """Sentences to draw from: texts of any length are then made fast."""
    return [
        " ".join(generator.choices(words, k=generator.randint(6, 16))) + ending
        for _ in range(4_000)
    ]


class Texts:
    """Texts of about as many characters as asked for, all different."""

    def __init__(self, seed: str):
        self.generator = random.Random(seed)
        self.pools = {
            "ko": sentences(KOREAN, self.generator, "다."),
            "en": sentences(ENGLISH, self.generator, "."),
        }
        self.number = 0

    def text(self, characters: float, language: str = "en") -> str:
        self.number += 1
        length = self.generator.lognormvariate(0, 0.7) * characters
        count = max(1, round(length / (45 if language == "ko" else 65)))
        text = " ".join(self.generator.choices(self.pools[language], k=count))
        return f"{text} ({self.number})" + (" “yes” – naïve café" if self.number % 50 == 0 else "")

    def dirty(self, row: dict, column: str, json_types: bool) -> dict:
        """The row with one of the faults that the published rows have."""
        faults = [None, "", "\n", "a\0b", "mojibake"] + ([["a", "list"], 12] if json_types else [])
        fault = self.generator.choice(faults)
        if fault == "mojibake":
            fault = row[column].replace(" ", " ’", 1).encode().decode("cp1252", "ignore")
        return {**row, column: fault}


def rows_of(name: str, count: int) -> Iterator[dict]:
    """Rows in the columns and sizes of the published data set, 6 % of them dirty and 3 % a row seen
    before.
    """
    texts, make, earlier = Texts(name), SHAPES[name], None
    for number in range(count):
        row = make(texts, number)
        if texts.generator.random() < DIRT:
            row = texts.dirty(
                row,
                texts.generator.choice(DIRTY[name]),
                name in ("finance_instruct", "trading_signals"),
            )
        elif earlier and texts.generator.random() < 0.03:
            row = earlier
        earlier = row
        yield row


SHAPES = {
    "finance_instruct": lambda t, n: {
        "system": "\n" if n % 2 else "You are a finance expert.",
        "user": t.text(400),
        "assistant": t.text(1_500),
    },
    "sujet_finance": lambda t, n: {
        "Unnamed: 0": n,
        "inputs": t.text(600),
        "answer": t.text(120),
        "system_prompt": "You are a financial assistant.",
        "user_prompt": t.text(1_100) if n % 10 else "",
        "dataset": "FinGPT",
        "task_type": "qa",
    },
    "krx_won": lambda t, n: {
        "prompt": t.text(200, "ko"),
        "original_response": t.text(900, "ko"),
        **{f"{model}_response": t.text(900, "ko") for model in ("a", "b", "c", "d")},
    },
    "trading_signals": lambda t, n: {
        "instruction": "Read the indicators and decide.",
        "input": t.text(150) if n % 3 else "",
        "output": t.text(250),
    },
    "fin_sentiment": lambda t, n: {
        "input": t.text(110),
        "output": ("positive", "neutral", "negative")[n % 3],
        "instruction": "What is the sentiment of this news? Please choose an answer from"
        " {negative/neutral/positive}.",
    },
}
DIRTY = {
    "finance_instruct": ("user", "assistant"),
    "sujet_finance": ("user_prompt", "answer"),
    "krx_won": ("prompt", "original_response"),
    "trading_signals": ("instruction", "output"),
    "fin_sentiment": ("input",),
}


def write_sources(folder: Path, counts: dict[str, int], shared: Path) -> int:
    """Writes every source in its published format and returns their rows."""
    folder.mkdir(parents=True, exist_ok=True)
    total = sum(counts.values())
    for name in ("finance_instruct", "trading_signals"):
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as lines:
            lines.writelines(
                json.dumps(row, ensure_ascii=False) + "\n" for row in rows_of(name, counts[name])
            )
    with (folder / "sujet_finance.csv").open("w", encoding="utf-8", newline="") as file:
        rows = rows_of("sujet_finance", counts["sujet_finance"])
        writer = csv.DictWriter(file, list(SHAPES["sujet_finance"](Texts("header"), 0)))
        writer.writeheader()
        writer.writerows(rows)
    for name, part in (("krx_won", "krx_won"), ("fin_sentiment", "fin_sentiment.00001")):
        table = pa.Table.from_pylist(list(rows_of(name, counts[name])))
        pq.write_table(
            table, folder / f"{part}.parquet", row_group_size=len(table)
        )  # as pandas writes: one group
    real = shared / "sentiment" / "fingpt_format.jsonl"
    if real.exists():
        (folder / "fin_sentiment.00000.jsonl").symlink_to(real)
        with real.open("rb") as lines:
            total += sum(1 for line in lines if line.strip())
    return total


def peak_mb() -> float:
    """The process's own peak; Linux's ru_maxrss starts from the parent's."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1e3
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            1e6 if sys.platform == "darwin" else 1e3
        )


def measure(folder: Path, data: Data) -> None:
    """Runs normalize in this process and prints its figures as JSON."""
    before, start = peak_mb(), time.perf_counter()
    normalize(
        folder / "sources", system_prompt("en"), data, folder / "out", lambda share, text: None
    )
    print(
        json.dumps(
            {"seconds": time.perf_counter() - start, "peak_mb": peak_mb(), "imports_mb": before}
        )
    )


def check(report: dict, rows_in: int, rows_out: int) -> None:
    """Every row generated is taken, left over or dropped for a reason."""
    assert report["rows_in"] == rows_in, (report["rows_in"], rows_in)
    assert rows_in == report["rows"] + report["left_over"] + sum(report["dropped"].values())
    assert report["rows"] == rows_out == sum(report["languages"].values())
    assert report["rows"] + report["shortfall"] == report["asked"]
    for entry in report["sources"].values():
        assert entry["rows_in"] == entry["taken"] + entry["left_over"] + sum(
            entry["dropped"].values()
        )


def run(folder: Path, arguments: argparse.Namespace) -> None:
    data = Data(rows=arguments.rows, near_duplicates=arguments.near)
    asked = {
        name: round(SURPLUS * arguments.rows * getattr(data, f"{name}_share")) for name in PUBLISHED
    }
    start = time.perf_counter()
    rows_in = write_sources(
        folder / "sources", PUBLISHED if arguments.published else asked, arguments.data
    )
    size = sum(file.stat().st_size for file in (folder / "sources").iterdir())
    print(
        f"generated {rows_in:,} rows, {size / 1e6:,.0f} MB, in {time.perf_counter() - start:.1f} s"
    )
    command = [
        sys.executable,
        __file__,
        "--measure",
        str(folder),
        "--settings",
        data.model_dump_json(),
    ]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    report = json.loads((folder / "out/report.json").read_text(encoding="utf-8"))
    check(report, rows_in, pq.read_metadata(folder / "out/rows.parquet").num_rows)
    seconds = figures["seconds"]
    print(
        f"{report['rows']:,} of {rows_in:,} rows in {seconds:.1f} s:"
        f" {rows_in / seconds:,.0f} rows/s"
    )
    print(
        f"peak memory {figures['peak_mb']:,.0f} MB, of it {figures['imports_mb']:,.0f} MB before"
        " the first row"
    )
    print(f"rows.parquet {(folder / 'out/rows.parquet').stat().st_size / 1e6:,.0f} MB")
    mended = sum(entry["repaired"] for entry in report["sources"].values())
    print(f"languages {report['languages']}, mended {mended:,}, dropped {report['dropped']}")
    assert Counter(report["dropped"])["duplicate"], "the generator writes duplicates"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument(
        "--published", action="store_true", help="as many rows as the hub's data sets have"
    )
    parser.add_argument(
        "--near", type=float, default=0.0, help="drop near duplicates from this overlap"
    )
    parser.add_argument(
        "--data", type=Path, default=SHARED, help="folder with sentiment/fingpt_format.jsonl"
    )
    parser.add_argument("--keep", type=Path, help="a new folder that keeps the files")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--settings", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure, Data.model_validate_json(arguments.settings))
    elif arguments.keep:
        run(arguments.keep, arguments)
    else:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            run(Path(folder), arguments)


if __name__ == "__main__":
    main()
