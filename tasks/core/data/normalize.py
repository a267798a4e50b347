"""Rows of many shapes become chat messages of one, sampled by share, and every row is accounted
for.

Reads SOURCES/NAME.EXT; writes rows.parquet (messages: list<struct<role, content>>, source), and
beside it report.json, report.md, report.html and pictures. Each file is read once and rows wait on
disk: memory holds 21 bytes and a digest of a usable row, whatever its length.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.data.chat import Source
from tasks.core.data.cleaning import Survey, survey_source
from tasks.core.data.normalize_report import lengths_of, make_report, write_report
from tasks.core.data.shuffle import Chosen, Scratch, rows_schema, write_shuffled
from tasks.core.data.sources import require_columns, shares_of
from tasks.core.data.tables import table_files
from tasks.core.errors import RequestError
from tasks.core.records.artifacts import Progress
from tasks.core.settings.tree import Data

_READING = 0.8  # of the progress bar


def normalize(
    sources: Path, strategy_prompt: str, data: Data, out: Path, progress: Progress
) -> dict[str, Any]:
    """Writes data.rows rows drawn from the sources by share, and returns the report's totals.

    strategy_prompt stands in for a blank system prompt of sources that have none of their own.
    Raises RequestError for shares that do not sum to 1, missing columns, broken files (with the
    line), and if no source has a usable row.
    """
    shares = shares_of(data)
    files = {source: _files_of(sources, source) for source in shares}
    schema = rows_schema([name for source in shares for name in source.carried])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=out) as folder:
        surveys: dict[str, Survey] = {}
        for number, source in enumerate(shares):
            with Scratch(
                Path(folder) / source.name, schema, source.name, source.system or strategy_prompt
            ) as scratch:
                tell = _teller(progress, _READING * number / len(shares), source)
                surveys[source.name] = survey_source(source, files[source], data, scratch, tell)
        asked = split_rows(data.rows, {source.name: share for source, share in shares.items()})
        taken = allocate_rows(
            asked, {name: found.usable for name, found in surveys.items()}, data.top_up
        )
        if not any(taken.values()):
            raise _nothing_left(surveys)
        progress(_READING, f"shuffling and writing {sum(taken.values()):,} rows")
        chosen = {name: draw_rows(found.draws, taken[name]) for name, found in surveys.items()}
        parts = [
            Chosen(Path(folder) / name, numbers, np.asarray(surveys[name].places)[numbers])
            for name, numbers in chosen.items()
        ]
        write_shuffled(parts, schema, Path(folder), out / "rows.parquet")
    report = make_report(data, asked, surveys, chosen)
    write_report(report, lengths_of(surveys, chosen), out)
    progress(1.0, f"{report['rows']:,} rows")
    return {
        name: report[name]
        for name in ("rows_in", "dropped", "rows", "shortfall", "languages", "characters")
    }


def split_rows(rows: int, shares: dict[str, float]) -> dict[str, int]:
    """Whole rows per source that sum to rows: rounded down, the largest remainders get what is
    left.
    """
    exact = {name: rows * share for name, share in shares.items()}
    whole = {
        name: int(value + 1e-9) for name, value in exact.items()
    }  # 0.05 * 120 is 6, not 5.999…
    by_remainder = sorted(shares, key=lambda name: whole[name] - exact[name])
    for name in by_remainder[: rows - sum(whole.values())]:
        whole[name] += 1
    return whole


def allocate_rows(asked: dict[str, int], usable: dict[str, int], top_up: bool) -> dict[str, int]:
    """Rows to take per source: what was asked, as far as it is there; with top_up the others fill
    what is missing.

    Those with rows to spare share the gap in proportion to what was asked of them, until it is
    filled or all are spent.
    """
    taken = {name: min(asked[name], usable[name]) for name in asked}
    missing = sum(asked.values()) - sum(taken.values())
    while top_up and missing:
        spare = {name: usable[name] - taken[name] for name in asked if usable[name] > taken[name]}
        if not spare:
            break
        weights = {name: max(asked[name], 1) for name in spare}
        offer = split_rows(
            missing, {name: weight / sum(weights.values()) for name, weight in weights.items()}
        )
        for name, more in offer.items():
            taken[name] += min(more, spare[name])
        missing = sum(asked.values()) - sum(taken.values())
    return taken


def draw_rows(draws: Sequence[float], count: int) -> np.ndarray:
    """The numbers of the count rows with the lowest lots, ascending: a larger share keeps the rows
    of a smaller one.
    """
    return np.sort(np.argsort(np.asarray(draws), kind="stable")[:count])


def _files_of(sources: Path, source: Source) -> Sequence[Path]:
    files = table_files(sources, source.name)
    if not files:
        raise RequestError(
            f"{sources} holds no {source.name}.* file. Run the step download first, or leave the source out with"
            f" data.{source.name}_share=0."
        )
    require_columns(source, files)
    return files


def _teller(progress: Progress, start: float, source: Source) -> Callable[[int], None]:
    progress(start, f"{source.name}: reading")
    return lambda rows: progress(start, f"{source.name}: {rows:,} rows read")


def _nothing_left(surveys: dict[str, Survey]) -> RequestError:
    counts = "; ".join(
        f"{name}: {found.rows_in} read, {', '.join(f'{n} {reason}' for reason, n in found.dropped.items()) or 'none'}"
        for name, found in surveys.items()
    )
    return RequestError(
        f"No row is left for Stage 1 ({counts}). Name other files: data.SOURCE=FILE."
    )
