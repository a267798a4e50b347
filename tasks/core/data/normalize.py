"""Rows of many shapes become chat messages of one, sampled by share, and every row is accounted
for.

Reads SOURCES/NAME.EXT; writes rows.parquet (messages: list<struct<role, content>>, source), of the
same columns test.parquet with the rows that are kept from training if any are, and beside these
report.json, report.md, report.html and pictures. Each file is read once and rows wait on
disk: memory holds 21 bytes and a digest of a usable row, whatever its length.
"""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.apportionment import largest_remainder
from tasks.core.data.chat import Source
from tasks.core.data.cleaning import Intake, Survey, survey_source
from tasks.core.data.reports.normalization import lengths_of, make_report, write_report
from tasks.core.data.scratch import Scratch, rows_schema
from tasks.core.data.shuffle import write_shuffled
from tasks.core.data.sources.columns import require_columns
from tasks.core.data.sources.shares import shares_of
from tasks.core.data.tables import table_files
from tasks.core.errors import RequestError
from tasks.core.records.artifacts import Progress
from tasks.core.settings.data import Data

_READING = 0.8  # of the progress bar
_METRICS = ("rows_in", "dropped", "rows", "shortfall", "languages", "characters")


def normalize(
    sources: Path, strategy_prompt: str, data: Data, out: Path, progress: Progress
) -> dict[str, Any]:
    """Writes data.rows rows drawn from the sources by share, and returns the report's totals.

    strategy_prompt stands in for a blank system prompt of sources that have none of their own.
    Raises RequestError for shares that do not sum to 1, missing columns, broken files (with the
    line), and if no source has a usable row.
    """
    shares = shares_of(data)
    intakes = [_intake_of(source, sources, strategy_prompt) for source in shares]
    asked = largest_remainder(data.rows, {source.name: share for source, share in shares.items()})
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=out) as folder:
        scratch = Scratch(Path(folder) / "rows", rows_schema(_carried_columns(shares)))
        with scratch:
            surveys = _survey_all(intakes, data, scratch, progress)
        usable = {name: survey.usable for name, survey in surveys.items()}
        taken = allocate_rows(asked, usable, data.top_up)
        if not any(taken.values()):
            raise _nothing_left(surveys)
        progress(_READING, f"shuffling and writing {sum(taken.values()):,} rows")
        chosen = {name: draw_rows(survey.draws, taken[name]) for name, survey in surveys.items()}
        order = _final_order(surveys, chosen)
        tested = round(data.test_share * len(order))
        _refuse_empty_test(data.test_share, tested, len(order))
        write_shuffled(scratch, order[tested:], out / "rows.parquet")
        if tested:
            write_shuffled(scratch, order[:tested], out / "test.parquet")
    report = make_report(data, asked, surveys, chosen)
    write_report(report, lengths_of(surveys, chosen), out)
    progress(1.0, f"{report['rows']:,} rows")
    return {name: report[name] for name in _METRICS}


def allocate_rows(asked: dict[str, int], usable: dict[str, int], top_up: bool) -> dict[str, int]:
    """Rows to take per source: what was asked, as far as it is there.

    With top_up the other sources fill what is missing: those with rows to spare share the gap in
    proportion to what was asked of them, until it is filled or all are spent.
    """
    taken = {name: min(asked[name], usable[name]) for name in asked}
    missing = sum(asked.values()) - sum(taken.values())
    while top_up and missing:
        spare = _spare_rows(taken, usable)
        if not spare:
            break
        offers = largest_remainder(missing, _gap_shares(asked, spare))
        for name, offered in offers.items():
            taken[name] += min(offered, spare[name])
        missing = sum(asked.values()) - sum(taken.values())
    return taken


def draw_rows(draws: Sequence[float], count: int) -> np.ndarray:
    """The numbers of the count rows with the lowest lots, ascending.

    A larger share therefore keeps the rows of a smaller one.
    """
    return np.sort(np.argsort(np.asarray(draws), kind="stable")[:count])


def _spare_rows(taken: Mapping[str, int], usable: Mapping[str, int]) -> dict[str, int]:
    """The sources that have more rows than are taken, and how many more."""
    spare = {}
    for name, rows in taken.items():
        if usable[name] > rows:
            spare[name] = usable[name] - rows
    return spare


def _gap_shares(asked: Mapping[str, int], spare: Iterable[str]) -> dict[str, float]:
    """The share of a gap that each source with spare rows is asked to fill."""
    weights = {name: max(asked[name], 1) for name in spare}
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def _intake_of(source: Source, folder: Path, strategy_prompt: str) -> Intake:
    """The source's files in a folder, which must be there and have the columns it needs."""
    files = table_files(folder, source.name)
    if not files:
        raise RequestError(
            f"{folder} holds no {source.name}.* file. Run the step download first, or leave the"
            f" source out with data.{source.name}_share=0."
        )
    require_columns(source, files)
    return Intake(source, files, source.system or strategy_prompt)


def _carried_columns(shares: Mapping[Source, float]) -> list[str]:
    columns: list[str] = []
    for source in shares:
        columns += source.carried
    return columns


def _survey_all(
    intakes: Sequence[Intake], data: Data, scratch: Scratch, progress: Progress
) -> dict[str, Survey]:
    """The survey of each source, by its name; the usable rows are in scratch one source after the
    other.
    """
    surveys = {}
    for number, intake in enumerate(intakes):
        name = intake.source.name
        start = _READING * number / len(intakes)
        progress(start, f"{name}: reading")
        surveys[name] = survey_source(intake, data, scratch, _row_counter(progress, start, name))
    return surveys


def _row_counter(progress: Progress, start: float, name: str) -> Callable[[int], None]:
    """A function that hears how many rows of a source were read."""
    return lambda rows: progress(start, f"{name}: {rows:,} rows read")


def _final_order(surveys: Mapping[str, Survey], chosen: Mapping[str, np.ndarray]) -> np.ndarray:
    """The numbers in scratch of the rows that are taken, by ascending lot in the final order."""
    numbers = []
    places = []
    first = 0
    for name, survey in surveys.items():
        numbers.append(first + chosen[name])
        places.append(np.asarray(survey.places)[chosen[name]])
        first += survey.usable
    order = np.argsort(np.concatenate(places), kind="stable")
    return np.concatenate(numbers)[order]


def _refuse_empty_test(share: float, tested: int, rows: int) -> None:
    if (share and not tested) or tested == rows:
        part = "no row to test" if not tested else "no row to train on"
        raise RequestError(
            f"data.test_share={share:g} of {rows} rows leaves {part}. Give more rows, or another"
            " share."
        )


def _nothing_left(surveys: Mapping[str, Survey]) -> RequestError:
    counts = []
    for name, survey in surveys.items():
        reasons = []
        for reason, rows in survey.dropped.items():
            reasons.append(f"{rows} {reason}, e.g. {survey.examples[reason]}")
        counts.append(f"{name}: {survey.rows_in} read, {', '.join(reasons) or 'none'}")
    return RequestError(
        f"No row is left for Stage 1 ({'; '.join(counts)}). Name other files: data.SOURCE=FILE."
    )
