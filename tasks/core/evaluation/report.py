"""The models side by side, and whether a new one may take an old one's place.

Writes scores.json (what the replies are worth: content), speed.json (what this machine took: beside
it), table.md and chart.png; reads scores.json back.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.core.errors import RequestError
from tasks.core.evaluation.chart import draw_chart
from tasks.core.evaluation.score import MEASURES
from tasks.core.files.json_files import write_json

TOY = (
    "The demo's model is a toy of 135 million parameters, trained for minutes: these figures prove that the chain "
    "works end to end, not that the model has the skill."
)
TOLERANCE = 0.02
"""How much a share or a mean grade may fall, where the interval is not wider, before it counts as a
regression.
"""

GUARDED = ("schema_valid", "regime_accuracy", "exposure_in_band", "grade")
"""The measures that a promoted model must not lose."""

SPEED = {
    "latency_p50_s": "latency, median, s",
    "latency_p95_s": "latency, 95th percentile, s",
    "tokens_per_s": "tokens written, 1/s",
    "cut_replies": "replies cut at the token limit",
}


Shown = Callable[[float], str]


@dataclass(frozen=True)
class Decision:
    """Whether the name moves to the new model, and why; one reason per guarded measure."""

    promote: bool
    reasons: list[str]


def write_report(scores: dict[str, dict[str, Any]], out: Path, toy: bool) -> None:
    """Writes the report of the models' scores (score.score's), in their order: the last one is
    compared with the first.

    `toy` puts the warning on table and chart.
    """
    quality = {
        model: {name: part for name, part in figures.items() if name != "speed"}
        for model, figures in scores.items()
    }
    write_json(out / "scores.json", quality)
    write_json(out / "speed.json", {model: figures["speed"] for model, figures in scores.items()})
    (out / "table.md").write_text(_table(scores, toy), encoding="utf-8")
    draw_chart(scores, out / "chart.png", toy)


def read_scores(folder: Path) -> dict[str, dict[str, Any]]:
    """The scores by model of a report's folder, without speed. Raises RequestError where the file
    is not one.
    """
    file = folder / "scores.json"
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RequestError(
            f"{file} is no evaluation's scores ({error}). Run the evaluation again."
        ) from error


def compare(old: dict[str, Any] | None, new: dict[str, Any]) -> Decision:
    """Whether the new model may take the old one's place: no guarded measure falls by more than its
    tolerance.

    The tolerance is the larger of 0.02 and half the wider of the two 95 % intervals: on few
    questions a fall may be chance. Raises RequestError where the two were not asked the same
    questions.
    """
    if old is None:
        return Decision(True, ["no model held the name before"])
    if old["questions"] != new["questions"]:
        raise RequestError(
            f"The two models were not asked the same questions ({old['questions']['n']} and {new['questions']['n']}): "
            "evaluate both on one set with `kospilot evaluate OLD NEW --set FILE`."
        )
    found = [_judge(name, old["measures"][name], new["measures"][name]) for name in GUARDED]
    return Decision(all(kept for kept, _ in found), [reason for _, reason in found])


def _judge(name: str, old: dict[str, Any], new: dict[str, Any]) -> tuple[bool, str]:
    if old["value"] is None or new["value"] is None:
        return True, f"{MEASURES[name]}: no question asks for it"
    tolerance = max(TOLERANCE, *((side["high"] - side["low"]) / 2 for side in (old, new)))
    kept = new["value"] >= old["value"] - tolerance
    told = (
        f"{MEASURES[name]}: {'kept' if kept else 'fell'}, {old['value']:.3f} → {new['value']:.3f}"
    )
    return kept, f"{told} (tolerance {tolerance:.3f}, n {new['n']})"


def _table(scores: dict[str, dict[str, Any]], toy: bool) -> str:
    models = list(scores)
    shares = {
        words: [scores[model]["measures"][name] for model in models]
        for name, words in MEASURES.items()
    }
    grades = shares.pop(MEASURES["grade"])
    kinds = sorted({name for figures in scores.values() for name in figures["kinds"]})
    by_kind = {name: [scores[model]["kinds"][name] for model in models] for name in kinds}
    asked = scores[models[0]]["questions"]["n"]
    lines = [
        f"# {' next to '.join(models)}: {asked} questions",
        "",
        *([f"> {TOY}", ""] if toy else []),
        "In brackets the 95 % bootstrap interval; n is the number of questions that a figure applies to.",
        "",
        *_estimates(("share of replies, %", "difference, pp"), models, shares, _percent),
        "",
        *_estimates(
            ("grade, 0 to 1", "difference"), models, {"all kinds": grades, **by_kind}, _grade
        ),
        "",
        *_speeds(models, [scores[model]["speed"] for model in models]),
    ]
    return "\n".join(lines) + "\n"


def _estimates(
    titles: tuple[str, str], models: list[str], rows: dict[str, list], shown: Shown
) -> list[str]:
    """One table of figures; with several models it ends with the last one's difference to the
    first.
    """
    lines = _header([titles[0], *models, *titles[1 : min(len(models), 2)], "n"])
    for words, cells in rows.items():
        difference = (
            [_difference(cells[0]["value"], cells[-1]["value"], shown)] if len(models) > 1 else []
        )
        told = [words, *(_cell(cell, shown) for cell in cells), *difference, str(cells[0]["n"])]
        lines.append(f"| {' | '.join(told)} |")
    return lines


def _speeds(models: list[str], speeds: list[dict[str, Any]]) -> list[str]:
    lines = _header(["speed on this machine", *models])
    for name, words in SPEED.items():
        told = ["–" if speed[name] is None else f"{speed[name]:g}" for speed in speeds]
        lines.append(f"| {' | '.join([words, *told])} |")
    return lines


def _header(titles: list[str]) -> list[str]:
    return [f"| {' | '.join(titles)} |", f"|---{'|---:' * (len(titles) - 1)}|"]


def _cell(cell: dict[str, Any], shown: Shown) -> str:
    if cell["value"] is None:
        return "–"
    return f"{shown(cell['value'])} [{shown(cell['low'])}, {shown(cell['high'])}]"


def _difference(first: float | None, last: float | None, shown: Shown) -> str:
    if first is None or last is None:
        return "–"
    sign = "+" if last > first else "−" if last < first else "±"
    return sign + shown(abs(last - first))


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _grade(value: float) -> str:
    return f"{value:.3f}"
