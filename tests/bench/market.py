"""How long the market's days take: kospilot's DuckDB, a good groupby in pandas, and a plain loop.

    uv run python tests/bench/market.py [--tickers 650] [--years 6] [--runs 5]

Generates a market in the layout of a market folder (seeded), gives it to each way in a process of
its own, checks that all give the same snapshots, and prints seconds (from parquet to snapshots,
imports aside), rows/s, peak memory of the process and ratios. The loop gets a tenth of the tickers
and is scaled: on the whole market it takes minutes.
"""

# ruff: noqa: PLC0415  a way's process imports only what that way needs: its memory is measured

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SEED = 42
LOOP_SHARE = 10
"""The loop gets one ticker in so many."""


def generate(folder: Path, tickers: int, years: int) -> None:
    """Writes tickers x trading days from 2020 on.

    Some are listed on the way, some halted, some without market cap or PER.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as parquet

    rng = np.random.default_rng(SEED)
    days = np.arange("2020-01-02", f"{2020 + years}-01-01", dtype="datetime64[D]")
    days = days[np.is_busday(days)]
    days = days[rng.random(len(days)) > 0.059]  # KRX's holidays
    market = rng.normal(0.0003, 0.011, len(days))
    moves = rng.normal(0, 0.022, (len(days), tickers)) + market[:, None] * rng.uniform(
        0.4, 1.6, tickers
    )
    closes = (
        np.round(
            rng.lognormal(10, 1, tickers) * np.exp(np.cumsum(np.clip(moves, -0.26, 0.26), axis=0))
        )
        + 1
    )
    shares = np.round(rng.lognormal(17.5, 1.2, tickers))
    codes = np.array([f"{position * 10:06d} KP" for position in range(1, tickers + 1)])
    first = np.where(rng.random(tickers) < 0.15, rng.integers(1, len(days) // 2, tickers), 0)
    months = days.astype("datetime64[M]")
    for month in np.unique(months):
        day, ticker = (
            axis.ravel()
            for axis in np.meshgrid(np.flatnonzero(months == month), np.arange(tickers))
        )
        day, ticker = day[day >= first[ticker]], ticker[day >= first[ticker]]
        given = {"date": pa.array(days[day]), "ticker": pa.array(codes[ticker])}
        prices = _prices(closes[day, ticker], shares[ticker], rng.random(len(day)) < 0.001, rng)
        year, number = str(month).split("-")
        file = folder / f"year={year}" / f"month={int(number)}" / "data.parquet"
        file.parent.mkdir(parents=True)
        parquet.write_table(pa.table(given | prices), file, compression="zstd")


def _prices(close, shares, halt, rng) -> dict:
    """Returns a month's columns beside date and ticker, with halts as KRX prints them."""
    import numpy as np
    import pyarrow as pa

    open_ = np.where(halt, 0, np.round(close * rng.uniform(0.99, 1.01, len(close))))
    return {
        "open": open_,
        "high": np.where(halt, 0, np.maximum(open_, close) * 1.01),
        "low": np.where(halt, 0, np.minimum(open_, close) * 0.99),
        "close": close,
        "volume": np.where(halt, 0, rng.integers(1_000, 5_000_000, len(close))),
        "market_cap": pa.array(close * shares, mask=rng.random(len(close)) < 0.002),
        "pe_ratio": np.where(rng.random(len(close)) < 0.35, 0, rng.uniform(4, 60, len(close))),
        "pb_ratio": rng.uniform(0.3, 6, len(close)),
    }


def by_duckdb(folder: Path) -> list[tuple]:
    """Does it as kospilot does."""
    from tasks.core.market.snapshots import snapshots

    return [tuple(vars(day).values()) for day in snapshots(folder)]


def by_pandas(folder: Path) -> list[tuple]:
    """Does what a careful pandas user writes.

    It reads only the needed columns, sorts once and works on whole columns.
    """
    import numpy as np

    rows = _read_frame(folder).sort_values(["ticker", "date"], kind="stable")
    before = rows.groupby("ticker", observed=True, sort=False)[["close", "market_cap"]].shift()
    ratio = rows["close"] / before["close"]
    rows["change"] = ratio - 1
    rows["weight"] = before["market_cap"].fillna(rows["market_cap"] / ratio)
    rows = rows[rows["change"].notna() & rows["weight"].notna()]
    rows["weighted"], rows["rose"] = rows["change"] * rows["weight"], rows["change"] > 0
    days = rows.groupby("date")[["weighted", "weight", "rose", "change"]].agg(
        {"weighted": "sum", "weight": "sum", "rose": "mean", "change": "size"}
    )
    move = 100 * days["weighted"] / days["weight"]
    window = move.rolling(10, min_periods=5)
    found = zip(
        days.index, move, 100 * days["rose"], window.sum(), window.std() * np.sqrt(252), strict=True
    )
    return [
        _rounded(str(day)[:10], *values) for day, *values in found if not math.isnan(values[-1])
    ]


def by_loop(folder: Path) -> list[tuple]:
    """Does what one writes first: for each ticker and day, look up the close and the one before."""
    from statistics import stdev

    data = _read_frame(folder)
    moves: dict = {}
    for ticker in data["ticker"].unique():
        rows = data[data["ticker"] == ticker].sort_values("date").reset_index(drop=True)
        for position in range(1, len(rows)):
            row, before = rows.iloc[position], rows.iloc[position - 1]
            ratio = row["close"] / before["close"]
            weight = before["market_cap"]
            if math.isnan(weight):
                weight = row["market_cap"] / ratio
            if not math.isnan(weight):
                moves.setdefault(str(row["date"])[:10], []).append((ratio - 1, weight))
    found, last = [], []
    for day in sorted(moves):
        total = sum(cap for _, cap in moves[day])
        last = [*last[-9:], 100 * sum(change * cap for change, cap in moves[day]) / total]
        breadth = 100 * sum(change > 0 for change, _ in moves[day]) / len(moves[day])
        if len(last) >= 5:
            found.append(_rounded(day, last[-1], breadth, sum(last), stdev(last) * math.sqrt(252)))
    return found


WAYS = {"duckdb": by_duckdb, "pandas": by_pandas, "loop": by_loop}


def _read_frame(folder: Path):
    import pandas

    columns = ["date", "ticker", "open", "close", "volume", "market_cap"]
    files = sorted(folder.glob("year=*/month=*/data.parquet"))
    rows = pandas.concat(
        [pandas.read_parquet(file, columns=columns, partitioning=None) for file in files]
    )
    rows = rows[~((rows["open"] == 0) & (rows["volume"] == 0)) & (rows["close"] > 0)]
    return rows.drop(columns=["open", "volume"]).assign(
        ticker=rows["ticker"].str[:6].astype("category")
    )


def _rounded(day: str, move: float, breadth: float, momentum: float, volatility: float) -> tuple:
    half_up = math.floor(breadth * 10 + 0.5) / 10  # 6.25 % is no rarity: one stock in sixteen
    return day, round(move, 2) + 0.0, half_up, round(momentum, 2) + 0.0, round(volatility, 2)


def run_way(way: str, folder: Path, runs: int) -> None:
    """Prints, in the child, one line of JSON.

    It has the first run's seconds and the best one's, the peak of memory, and the snapshots.
    """
    import duckdb  # noqa: F401  imports are not what is measured
    import pandas  # noqa: F401
    import pyarrow.dataset  # noqa: F401

    if way == "duckdb":
        import tasks.core.market.snapshots  # noqa: F401
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        found = WAYS[way](folder)
        seconds.append(time.perf_counter() - start)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    # getrusage would count the parent's peak too.
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1000
    print(
        json.dumps({"first": seconds[0], "best": min(seconds), "peak_mb": peak, "snapshots": found})
    )


def _child(*arguments: str) -> str:
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def _count_rows(folder: Path) -> tuple[int, int]:
    import pyarrow.parquet as parquet

    files = list(folder.glob("year=*/month=*/data.parquet"))
    return sum(parquet.read_metadata(file).num_rows for file in files), len(files)


def compare(tickers: int, years: int, runs: int) -> None:
    """Generates the markets, measures each way, and prints the table."""
    with tempfile.TemporaryDirectory() as scratch:
        whole, tenth = Path(scratch) / "whole", Path(scratch) / "tenth"
        _child("--generate", str(whole), "--tickers", str(tickers), "--years", str(years))
        _child(
            "--generate", str(tenth), "--tickers", str(tickers // LOOP_SHARE), "--years", str(years)
        )
        (rows, partitions), (few, _) = _count_rows(whole), _count_rows(tenth)
        print(f"{rows:,} rows, {tickers} tickers, {partitions} partitions, seed {SEED}")
        done = {
            way: json.loads(_child("--way", way, str(whole), "--runs", str(runs)))
            for way in ("duckdb", "pandas")
        }
        loop = json.loads(_child("--way", "loop", str(tenth), "--runs", "1"))
        small = json.loads(_child("--way", "duckdb", str(tenth), "--runs", "1"))
    print(f"{'':22}{'first s':>9}{'best s':>9}{'rows/s':>13}{'peak MB':>9}{'x duckdb':>10}")
    scaled = {**loop, "first": loop["first"] * rows / few, "best": loop["best"] * rows / few}
    for way, figures in {**done, "loop (scaled)": scaled}.items():
        ratio = figures["best"] / done["duckdb"]["best"]
        speed = rows / figures["best"]
        seconds = f"{figures['first']:9.3f}{figures['best']:9.3f}"
        print(f"{way:22}{seconds}{speed:13,.0f}{figures['peak_mb']:9.0f}{ratio:10.1f}")
    print(
        f"The loop ran {loop['best']:.1f} s on {few:,} rows,"
        f" a market of 1/{LOOP_SHARE} of the tickers, and is scaled."
    )
    same = {
        "duckdb = pandas": done["duckdb"]["snapshots"] == done["pandas"]["snapshots"],
        "duckdb = loop": small["snapshots"] == loop["snapshots"],
    }
    days = len(done["duckdb"]["snapshots"])
    answers = ", ".join(f"{what}: {is_equal}" for what, is_equal in same.items())
    print(f"{days:,} snapshots; equal: {answers}")
    if not all(same.values()):
        sys.exit("The ways disagree.")


def main() -> None:
    """Compares the ways, or is one of the processes that a comparison starts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tickers", type=int, default=650)
    parser.add_argument("--years", type=int, default=6)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--generate", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--way", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.generate:
        generate(arguments.generate, arguments.tickers, arguments.years)
    elif arguments.way:
        run_way(arguments.way[0], Path(arguments.way[1]), arguments.runs)
    else:
        compare(arguments.tickers, arguments.years, arguments.runs)


if __name__ == "__main__":
    main()
