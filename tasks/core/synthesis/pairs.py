"""Stage 3 pairs: the right answer beside one that fails for a known reason.

Reads rows.jsonl; writes pairs.jsonl and, beside it, report.json.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from tasks.core.errors import WorkError
from tasks.core.files.json_files import write_json
from tasks.core.kinds import kind_named
from tasks.core.kinds.base import FLAWS, Flaw, scene_from_dict
from tasks.core.settings.tree import Pairs
from tasks.core.synthesis.checks import check_rows
from tasks.core.synthesis.rejects import Reject

FLAW_SHARES: dict[Flaw, float] = {
    "strategy_violation": 0.30,
    "quality_degradation": 0.30,
    "schema_violation": 0.20,
    "hallucination": 0.20,
}
_DRAWS = 20  # attempts at a rejected answer that is new and fails for its own reason


def build_pairs(
    rows_file: Path, pairs: Pairs, out: Path, rejects: Sequence[Reject] = ()
) -> dict[str, Any]:
    """Writes out/pairs.jsonl with `prompt`, `chosen`, `rejected` (messages) and `metadata`.

    A model's rejects take the first places of their flaw, with their own rows. For the others each
    row of rows.jsonl serves in turn, with another flaw each time. Raises WorkError and publishes
    nothing where no rejected answer can be made that grades below the chosen one for its own
    reason, or a pair cannot be proven.
    """
    with rows_file.open(encoding="utf-8") as file:
        rows = file.readlines()  # as text, which takes less: most are needed once
    rng, seen, built = Random(pairs.seed), set(), []
    given = {flaw: [reject for reject in rejects if reject.flaw == flaw] for flaw in FLAWS}
    for place, flaw in enumerate(_flaws(pairs.rows, rng)):
        if given[flaw]:
            built.append(_model_pair(rows, given[flaw].pop(0)))
        else:
            built.append(_pair(json.loads(rows[place % len(rows)]), flaw, rng, seen))
    if failures := check_rows(built):
        first = failures[0]
        raise WorkError(
            f"{len(failures)} pairs are not true; the first is {first.row}, {first.rule}: {first.detail}"
        )
    with (out / "pairs.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(pair, ensure_ascii=False) + "\n" for pair in built)
    report = _report(built)
    write_json(out / "report.json", report)
    return report


def wanted_rejects(pairs: Pairs) -> dict[Flaw, int]:
    """How many pairs of each flaw are to be a model's own."""
    return {
        flaw: round(number * pairs.model_reject_share)
        for flaw, number in _flaw_counts(pairs.rows).items()
    }


def _flaw_counts(number: int) -> dict[Flaw, int]:
    """Pairs of each flaw; the first has what is left by rounding the others."""
    counts = {flaw: round(number * FLAW_SHARES[flaw]) for flaw in FLAWS[1:]}
    return {FLAWS[0]: number - sum(counts.values()), **counts}


def _flaws(number: int, rng: Random) -> list[Flaw]:
    """Each flaw in its share, in random order."""
    flaws = [flaw for flaw, count in _flaw_counts(number).items() for _ in range(count)]
    rng.shuffle(flaws)
    return flaws


def _model_pair(rows: list[str], reject: Reject) -> dict[str, Any]:
    return _published(
        json.loads(rows[reject.row]),
        reject.reply,
        {"flaw": reject.flaw, "flaws": list(reject.flaws)},
    )


def _pair(row: dict[str, Any], flaw: Flaw, rng: Random, seen: set[str]) -> dict[str, Any]:
    messages, metadata = row["messages"], row["metadata"]
    known, scene = kind_named(metadata["kind"]), scene_from_dict(metadata["scene"])
    right = json.loads(messages[2]["content"])
    for _ in range(_DRAWS):
        wrong = known.spoil(scene, right, flaw, rng)
        identity = messages[1]["content"] + wrong
        if known.grade(scene, wrong).flaws == {flaw} and identity not in seen:
            seen.add(identity)
            return _published(row, wrong, {"flaw": flaw})
    raise WorkError(
        f"No new answer with {flaw} could be made for a {known.name} row after {_DRAWS} attempts."
        " Lower pairs.rows or raise synthesis.rows."
    )


def _published(row: dict[str, Any], wrong: str, said: dict[str, Any]) -> dict[str, Any]:
    """`said` is what the pair tells of its rejected answer; with `flaws` in it, a model gave it."""
    messages, metadata = row["messages"], row["metadata"]
    kept = ("kind", "language", "regime", "date", "simulated", "market_generated")
    return {
        "prompt": messages[:2],
        "chosen": [messages[2]],
        "rejected": [{"role": "assistant", "content": wrong}],
        "metadata": {**said, **{name: metadata[name] for name in kept}},
    }


def _report(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    report: dict[str, Any] = {
        "pairs": len(pairs),
        "model": sum("flaws" in pair["metadata"] for pair in pairs),
    }
    for name in ("flaw", "kind", "language", "regime"):
        report[name] = dict(sorted(Counter(pair["metadata"][name] for pair in pairs).items()))
    report["length_auc"] = {
        flaw: _length_auc([p for p in pairs if p["metadata"]["flaw"] == flaw]) for flaw in FLAWS
    }
    return report


def _length_auc(pairs: list[dict[str, Any]]) -> float | None:
    """How well length alone tells chosen from rejected: 0.5 is not at all, 1 is always; None
    without pairs.
    """
    if not pairs:
        return None
    chosen, rejected = (
        sorted(len(pair[side][0]["content"]) for pair in pairs) for side in ("chosen", "rejected")
    )
    wins = sum((c > r) + 0.5 * (c == r) for c in chosen for r in rejected) / (
        len(chosen) * len(rejected)
    )
    return round(max(wins, 1 - wins), 3)
