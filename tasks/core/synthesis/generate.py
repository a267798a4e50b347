"""Stage 2 rows: a question about a scene, and its right answer. Every row is proven before any is
published.

Reads the market artifact's train part and the base model's tokenizer.json; writes rows.jsonl and a
report.json.
"""

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from tasks.core.files.json_files import encode_line, write_encoded, write_json, write_lines
from tasks.core.synthesis.kind_rows import Material, Source, refuse_budget
from tasks.core.synthesis.logs import HELD_FILE, Market, logged_rows
from tasks.core.synthesis.own import own_rows
from tasks.core.synthesis.proven import PROVEN, digest_lines
from tasks.core.synthesis.sharing import lines_by_kind, quotas_of, second_process
from tasks.core.synthesis.variety import Variety

_REPORTED = ("kind", "language", "regime", "date", "day", "tokens")
"""The parts of the rows' metadata that the report counts."""


def synthesize(source: Source, out: Path) -> dict[str, Any]:
    """Writes out/rows.jsonl with `messages` and `metadata`; the same seed gives the same bytes.

    Raises WorkError, and publishes nothing, if a row cannot be proven or no scene fits the token
    budget.
    """
    synthesis = source.synthesis
    quotas = quotas_of(synthesis)
    lines_of_kind: dict[str, list[bytes]] = {}  # take less memory than the rows
    reported: list[dict[str, Any]] = []
    variety = Variety()
    with second_process(source) as second:
        material = Material.of(source)
        own = own_rows(synthesis, material.tokens.counts)
        logged = logged_rows(synthesis, Market.of(source.train), material.tokens.counts)
        for quota in quotas:
            refuse_budget(quota, material)
        for quota, made in lines_by_kind(quotas, material, second):
            lines_of_kind[quota.kind.name] = made
            for line in made:
                row = json.loads(line)
                variety.add(row)
                reported.append(_reported(row))
    lines = [line for quota in quotas for line in lines_of_kind[quota.kind.name]]
    for row in logged.rows:
        reported.append(_reported(row))
        row["metadata"]["market_generated"] = material.generated
        lines.append(encode_line(row))
    lines += [encode_line(row) for row in own]
    Random(synthesis.seed).shuffle(lines)
    write_encoded(out / "rows.jsonl", lines)
    report = {
        "rows": len(lines),
        "own": len(own),
        **_counts(reported),
        "market_generated": material.generated,
        "variety": variety.report(),
        PROVEN: digest_lines(lines),
    }
    if synthesis.logs:
        write_lines(out / HELD_FILE, logged.held)
        report["logs"] = logged.report()
    write_json(out / "report.json", report)
    return report


def _reported(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row["metadata"][name] for name in _REPORTED}


def _counts(reported: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the report's figures of what _REPORTED names of each row."""
    counts: dict[str, Any] = {}
    for name in ("kind", "language", "regime"):
        counts[name] = dict(sorted(Counter(row[name] for row in reported).items()))
    days = [row["day"] for row in reported if row["day"]]
    counts["real"] = len(days)
    counts["days"] = len(set(days))
    counts["dated"] = sum(row["date"] is not None for row in reported)
    counts["rows_per_day"] = _rows_per_day(reported)
    counts["tokens"] = sum(row["tokens"] for row in reported)
    return counts


def _rows_per_day(reported: list[dict[str, Any]]) -> dict[str, float | None]:
    """Says how many rows each real day of a regime serves, on average: days of a rare regime serve
    often. It is None for a regime without a real day.
    """
    days: dict[str, list[str]] = {}
    for row in reported:
        of_regime = days.setdefault(row["regime"], [])
        if row["day"]:
            of_regime.append(row["day"])
    reuse: dict[str, float | None] = {}
    for regime, of_regime in sorted(days.items()):
        reuse[regime] = None
        if of_regime:
            reuse[regime] = round(len(of_regime) / len(set(of_regime)), 1)
    return reuse
