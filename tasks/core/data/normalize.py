"""Rows of five shapes become chat messages of one, sampled by share, and every row is accounted for.

Reads SOURCES/NAME.EXT; writes rows.parquet (messages: list<struct<role, content>>, source), report.json, report.md.
Each file is read twice, so that memory holds the chosen rows and no others: first to clean and count, then to take.
"""

import heapq
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.data.chat import Chat, Source
from tasks.core.data.cleaning import Kept, Survey, clean_row, iterate_rows, survey_source
from tasks.core.data.report import Texts, describe_lengths, write_report
from tasks.core.data.sources import require_columns, share_of, wanted_sources
from tasks.core.data.tables import table_files
from tasks.core.errors import RequestError
from tasks.core.records import Progress
from tasks.core.settings import Data

_SCHEMA = pa.schema(
    [
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("source", pa.string()),
    ]
)

_GROUP_ROWS = 10_000  # of rows.parquet


def normalize(sources: Path, strategy_prompt: str, data: Data, out: Path, progress: Progress) -> dict[str, Any]:
    """Writes data.rows rows drawn from the sources by share, and returns the report's totals.

    strategy_prompt stands in for a blank system prompt of sources that have none of their own. Raises RequestError for
    shares that do not sum to 1, missing columns, broken files (with the line), and sources without a usable row.
    """
    wanted = wanted_sources(data)
    files = {source.name: _files_of(sources, source) for source in wanted}
    surveys: dict[str, Survey] = {}
    for number, source in enumerate(wanted):
        start, name = 0.6 * number / len(wanted), source.name
        progress(start, f"{name}: cleaning")
        surveys[name] = survey_source(
            source, files[name], data.seed, lambda n, s=start, of=name: progress(s, f"{of}: {n:,} rows read")
        )
    asked = split_rows(data.rows, {source.name: share_of(source, data) for source in wanted})
    taken = allocate_rows(asked, {name: len(found.kept) for name, found in surveys.items()}, data.top_up)
    if not any(taken.values()):
        raise _nothing_left(surveys)
    texts, tables, places = {}, [], []
    for number, source in enumerate(wanted):
        progress(0.6 + 0.3 * number / len(wanted), f"{source.name}: taking {taken[source.name]:,} rows")
        chosen = draw_rows(surveys[source.name].kept, taken[source.name])
        table, texts[source.name] = _take(source, files[source.name], chosen, source.system or strategy_prompt)
        tables.append(table)
        places += [row.place for row in chosen]
    progress(0.9, f"writing {len(places):,} rows")
    _write(pa.concat_tables(tables), places, out)
    report = _report(data, asked, taken, surveys, texts)
    write_report(report, out)
    progress(1.0, f"{report['rows']:,} rows")
    return {name: report[name] for name in ("rows_in", "dropped", "rows", "shortfall", "languages", "characters")}


def split_rows(rows: int, shares: dict[str, float]) -> dict[str, int]:
    """Whole rows per source that sum to rows: rounded down, the largest remainders get what is left."""
    exact = {name: rows * share for name, share in shares.items()}
    whole = {name: int(value + 1e-9) for name, value in exact.items()}  # 0.05 * 120 is 6, not 5.999…
    by_remainder = sorted(shares, key=lambda name: whole[name] - exact[name])
    for name in by_remainder[: rows - sum(whole.values())]:
        whole[name] += 1
    return whole


def allocate_rows(asked: dict[str, int], usable: dict[str, int], top_up: bool) -> dict[str, int]:
    """Rows to take per source: what was asked, as far as it is there; with top_up the others fill what is missing.

    Those with rows to spare share the gap in proportion to what was asked of them, until it is filled or all are spent.
    """
    taken = {name: min(asked[name], usable[name]) for name in asked}
    missing = sum(asked.values()) - sum(taken.values())
    while top_up and missing:
        spare = {name: usable[name] - taken[name] for name in asked if usable[name] > taken[name]}
        if not spare:
            break
        weights = {name: max(asked[name], 1) for name in spare}
        offer = split_rows(missing, {name: weight / sum(weights.values()) for name, weight in weights.items()})
        for name, more in offer.items():
            taken[name] += min(more, spare[name])
        missing = sum(asked.values()) - sum(taken.values())
    return taken


def draw_rows(kept: Sequence[Kept], count: int) -> list[Kept]:
    """The count rows with the lowest lots, in file order: a larger share keeps the rows of a smaller one."""
    return sorted(heapq.nsmallest(count, kept, key=lambda row: row.draw), key=lambda row: row.number)


def _files_of(sources: Path, source: Source) -> Sequence[Path]:
    files = table_files(sources, source.name)
    if not files:
        raise RequestError(
            f"{sources} holds no {source.name}.* file. Run the step download first, or leave the source out with"
            f" data.{source.name}_share=0."
        )
    require_columns(source, files)
    return files


def _take(source: Source, files: Sequence[Path], chosen: Sequence[Kept], prompt: str) -> tuple[pa.Table, Texts]:
    """The chosen rows as a table in file order, and what their texts are like."""
    numbers, texts, batches, messages = {row.number for row in chosen}, Texts(), [], []
    for number, row in enumerate(iterate_rows(source, files)):
        if number not in numbers:
            continue
        chat, _ = clean_row(source, row)
        system = chat.system or prompt
        texts.add(system, chat)
        messages.append(_messages(system, chat))
        if len(messages) == _GROUP_ROWS:
            batches.append(_batch(messages, source))
            messages = []
    batches.append(_batch(messages, source))
    return pa.Table.from_batches(batches, _SCHEMA), texts


def _messages(system: str, chat: Chat) -> list[dict[str, str]]:
    contents = {"system": system, "user": chat.user, "assistant": chat.assistant}
    return [{"role": role, "content": content} for role, content in contents.items()]


def _batch(messages: list[list[dict[str, str]]], source: Source) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"messages": messages, "source": [source.name] * len(messages)}, _SCHEMA)


def _write(table: pa.Table, places: list[float], out: Path) -> None:
    """The final shuffle: every row has had its place since it was first read."""
    order = sorted(range(len(places)), key=places.__getitem__)
    out.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(out / "rows.parquet", _SCHEMA, compression="zstd") as writer:
        for start in range(0, len(order), _GROUP_ROWS):
            writer.write_table(table.take(order[start : start + _GROUP_ROWS]))


def _report(
    data: Data, asked: dict[str, int], taken: dict[str, int], surveys: dict[str, Survey], texts: dict[str, Texts]
) -> dict[str, Any]:
    sources = {name: _report_source(asked[name], taken[name], surveys[name], texts[name]) for name in surveys}
    dropped: Counter[str] = sum((found.dropped for found in surveys.values()), Counter())
    languages: Counter[str] = sum((found.languages for found in texts.values()), Counter())
    return {
        "asked": data.rows,
        "rows": sum(taken.values()),
        "rows_in": sum(found.rows_in for found in surveys.values()),
        "dropped": dict(sorted(dropped.items())),
        "shortfall": data.rows - sum(taken.values()),
        "languages": dict(sorted(languages.items())),
        "characters": describe_lengths([length for found in texts.values() for length in found.lengths]),
        "seed": data.seed,
        "sources": sources,
    }


def _report_source(asked: int, taken: int, found: Survey, texts: Texts) -> dict[str, Any]:
    usable = len(found.kept)
    assert found.rows_in == usable + found.dropped.total(), "every row read is usable or dropped"
    return {
        "rows_in": found.rows_in,
        "dropped": dict(sorted(found.dropped.items())),
        "usable": usable,
        "asked": asked,
        "taken": taken,
        "left_over": usable - taken,
        "shortfall": max(0, asked - taken),
        "topped_up": max(0, taken - asked),
        "repaired": found.repaired,
        "unprompted": found.unprompted,
        "languages": dict(sorted(texts.languages.items())),
        "characters": describe_lengths(texts.lengths),
    }


def _nothing_left(surveys: dict[str, Survey]) -> RequestError:
    counts = "; ".join(
        f"{name}: {found.rows_in} read, {', '.join(f'{n} {reason}' for reason, n in found.dropped.items()) or 'none'}"
        for name, found in surveys.items()
    )
    return RequestError(f"No row is left for Stage 1 ({counts}). Name other files: data.SOURCE=FILE.")
