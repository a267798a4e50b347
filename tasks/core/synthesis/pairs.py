"""Stage 3 pairs: the right answer beside one that fails for a known reason.

Reads rows.jsonl with its report.json, and tokenizer.json; writes pairs.jsonl and, beside it, its
own report.json.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from tasks.core.errors import WorkError
from tasks.core.files.json_files import write_json, write_lines
from tasks.core.kinds import kind_named
from tasks.core.kinds.base import FLAWS, Flaw, scene_from_dict
from tasks.core.settings.tree import Pairs
from tasks.core.synthesis.checks import check_rejected, check_row, check_rows, grade_by_text
from tasks.core.synthesis.own import own_pairs, require_file
from tasks.core.synthesis.proven import are_proven
from tasks.core.synthesis.rejects import Reject, rows_with_scenes
from tasks.core.synthesis.shortcuts import Contrast, measure
from tasks.core.synthesis.tokens import Tokens

FLAW_SHARES: dict[Flaw, float] = {
    "strategy_violation": 0.30,
    "quality_degradation": 0.30,
    "schema_violation": 0.20,
    "hallucination": 0.20,
}

ATTEMPTS = 20
"""Attempts at a rejected answer that is new and fails for its own reason."""

_COPIED = ("kind", "language", "regime", "date", "day", "simulated", "market_generated")
"""The parts of a row's metadata that its pair has too."""


def build_pairs(
    rows_file: Path,
    tokenizer_file: Path,
    pairs: Pairs,
    out: Path,
    rejects: Sequence[Reject] = (),
) -> dict[str, Any]:
    """Writes out/pairs.jsonl with `prompt`, `chosen`, `rejected` (messages) and `metadata`.

    A model's rejects take the first places of their flaw, with their own rows. For the others each
    row of rows.jsonl serves in turn, with another flaw each time. Raises WorkError, and publishes
    nothing, if no rejected answer can be made that grades below the chosen one for its own reason,
    or if a pair cannot be proven. Of rows that their report says were proven, the chosen answers
    are not proven again, which would take a third of the time.
    """
    rows = rows_with_scenes(rows_file)
    # Not the seed alone: the rows are shuffled by it, and the flaws of as many pairs would fall on
    # the kinds in the order in which these were made.
    rng = Random(f"{pairs.seed} pairs")
    rejects_left = list(rejects)
    seen: set[str] = set()
    built: list[dict[str, Any]] = []

    def build() -> Iterator[dict[str, Any]]:
        for index, flaw in enumerate(_flaws(pairs.rows, rng)):
            reject = _take_reject(rejects_left, flaw)
            if reject:
                built.append(_pair_of_model(json.loads(rows[reject.row]), reject))
            else:
                built.append(_spoilt_pair(json.loads(rows[index % len(rows)]), flaw, rng, seen))
            yield built[-1]

    # Each pair is proven when it is built, because what its texts say is then remembered.
    check = check_rejected if are_proven(rows_file) else check_row
    failures = check_rows(build(), check)
    if failures:
        first = failures[0]
        raise WorkError(
            f"{len(failures)} pairs are not true; the first is {first.row}, {first.rule}:"
            f" {first.detail}"
        )
    own = own_pairs(require_file("pairs.own", pairs.own)) if pairs.own else []
    built += own
    write_lines(out / "pairs.jsonl", built)
    report = {**_report(built), "own": len(own)}
    report["shortcuts"] = _shortcuts(built, Tokens.of(tokenizer_file))
    write_json(out / "report.json", report)
    return report


def wanted_rejects(pairs: Pairs) -> dict[Flaw, int]:
    """Says how many pairs of each flaw are to be a model's own."""
    counts = _flaw_counts(pairs.rows)
    return {flaw: round(number * pairs.model_reject_share) for flaw, number in counts.items()}


def _flaw_counts(number: int) -> dict[Flaw, int]:
    """Divides pairs among the flaws; the first has what rounding the others leaves."""
    counts = {flaw: round(number * FLAW_SHARES[flaw]) for flaw in FLAWS[1:]}
    return {FLAWS[0]: number - sum(counts.values()), **counts}


def _flaws(number: int, rng: Random) -> list[Flaw]:
    """Returns a flaw for each pair: each in its share, in random order."""
    flaws: list[Flaw] = []
    for flaw, count in _flaw_counts(number).items():
        flaws += [flaw] * count
    rng.shuffle(flaws)
    return flaws


def _take_reject(rejects: list[Reject], flaw: Flaw) -> Reject | None:
    """Takes the first reject of a flaw out of the list. Returns None if there is none."""
    for index, reject in enumerate(rejects):
        if reject.flaw == flaw:
            return rejects.pop(index)
    return None


def _pair_of_model(row: dict[str, Any], reject: Reject) -> dict[str, Any]:
    flaws = {"flaw": reject.flaw, "flaws": list(reject.flaws)}
    return _pair(row, reject.reply, flaws)


def _spoilt_pair(row: dict[str, Any], flaw: Flaw, rng: Random, seen: set[str]) -> dict[str, Any]:
    """Puts the row's answer beside a spoilt one that no other pair of this question has."""
    question = row["messages"][1]["content"]
    answer = json.loads(row["messages"][2]["content"])
    kind = kind_named(row["metadata"]["kind"])
    scene = scene_from_dict(row["metadata"]["scene"])
    for _ in range(ATTEMPTS):
        spoilt = kind.spoil(scene, answer, flaw, rng)
        identity = question + spoilt
        if grade_by_text(kind.name, question, spoilt).flaws == {flaw} and identity not in seen:
            seen.add(identity)
            return _pair(row, spoilt, {"flaw": flaw})
    raise WorkError(
        f"No new answer with {flaw} could be made for a {kind.name} row after {ATTEMPTS} attempts."
        " Lower pairs.rows or raise synthesis.rows."
    )


def _pair(row: dict[str, Any], rejected: str, flaws: dict[str, Any]) -> dict[str, Any]:
    """Makes the pair of a row and a rejected answer.

    `flaws` is what the pair says of that answer: its `flaw` and, if a model gave it, all of its
    `flaws`.
    """
    messages = row["messages"]
    copied = {name: row["metadata"][name] for name in _COPIED}
    return {
        "prompt": messages[:2],
        "chosen": [messages[2]],
        "rejected": [{"role": "assistant", "content": rejected}],
        "metadata": {**flaws, **copied},
    }


def _report(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    report: dict[str, Any] = {
        "pairs": len(pairs),
        "model": sum("flaws" in pair["metadata"] for pair in pairs),
    }
    for name in ("flaw", "kind", "language", "regime"):
        counts = Counter(pair["metadata"][name] for pair in pairs)
        report[name] = dict(sorted(counts.items()))
    return report


def _shortcuts(pairs: Sequence[dict[str, Any]], tokens: Tokens) -> dict[str, Any]:
    """Returns shortcuts.measure of each flaw's pairs."""
    texts: list[str] = []
    for pair in pairs:
        texts += [pair["chosen"][0]["content"], pair["rejected"][0]["content"]]
    lengths = tokens.counts(texts)
    contrasts: dict[str, list[Contrast]] = {flaw: [] for flaw in FLAWS}
    for number, pair in enumerate(pairs):
        at = 2 * number
        contrast = Contrast(texts[at], texts[at + 1], lengths[at], lengths[at + 1])
        contrasts.setdefault(pair["metadata"]["flaw"], []).append(contrast)
    return {flaw: measure(of_flaw) for flaw, of_flaw in contrasts.items()}
