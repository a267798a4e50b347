"""The models side by side, as files.

Writes scores.json and marks.jsonl (what the replies are worth: content), speed.json (what this
machine took: beside it), table.md and chart.png; where days of the path were asked about, path.json
and path.png.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.core.evaluation.chart import draw_chart
from tasks.core.evaluation.evaluated import Evaluated, write_marks
from tasks.core.evaluation.measures import Figures, Row, grade_rows, share_rows, signed
from tasks.core.evaluation.path_chart import draw_path
from tasks.core.evaluation.path_report import (
    NO_PATH,
    models_as_json,
    path_as_json,
    path_notes,
    path_rows,
    path_titles,
)
from tasks.core.evaluation.verdicts import NO_VERDICT
from tasks.core.files.atomic import write_text
from tasks.core.files.json_files import write_json
from tasks.core.strategy.rules import REGIMES

TOY = (
    "The demo's model is a toy of 135 million parameters, trained for minutes: these figures prove"
    " that the chain works end to end, not that the model has the skill."
)
SPEED = {
    "latency_p50_s": "latency, median, s",
    "latency_p95_s": "latency, 95th percentile, s",
    "tokens_per_s": "tokens written, 1/s",
    "cut_replies": "replies cut at the token limit",
}
"""The figures of speed that the table shows, and their names there."""

_Format = Callable[[float], str]


def write_report(evaluated: Evaluated, out: Path, toy: bool) -> None:
    """Writes the report of the models, in their order: the last one is compared with the first.

    `toy` puts the warning on table and chart.
    """
    quality = {}
    speed = {}
    for model, figures in evaluated.scores.items():
        quality[model] = {name: part for name, part in figures.items() if name != "speed"}
        speed[model] = figures["speed"]
    write_json(out / "scores.json", quality)
    write_json(out / "speed.json", speed)
    write_marks(evaluated, out)
    write_text(out / "table.md", _table(evaluated, toy))
    draw_chart(evaluated.scores, out / "chart.png", toy)
    path = evaluated.path
    if path:
        write_json(out / "path.json", path_as_json(path))
        draw_path(path, out / "path.png", toy)


def all_figures(evaluated: Evaluated) -> dict[str, Figures]:
    """Returns each model's figures, those of its net-exposure path under "path" if there is one."""
    figures = dict(evaluated.scores)
    for model, walk in models_as_json(evaluated.path).items():
        figures[model] = {**figures[model], "path": walk}
    return figures


def _table(evaluated: Evaluated, toy: bool) -> str:
    scores = evaluated.scores
    models = list(scores)
    figures = list(scores.values())
    lines = [f"# {' next to '.join(models)}: {figures[0]['questions']['n']} questions", ""]
    if toy:
        lines += [f"> {TOY}", ""]
    lines += [
        "In brackets the 95 % interval, by a bootstrap over days; n is the number of questions that"
        " a figure applies to.",
        "",
        headline(evaluated),
        "",
        *_header(["share of replies, %", *models], "difference, pp"),
        *_estimate_lines(share_rows(figures), _percent),
        "",
        *_header(["grade, 0 to 1", *models], "difference"),
        *_estimate_lines(grade_rows(figures), _grade),
        "",
        *_change_lines(evaluated),
        *_confusion_lines(models[-1], figures[-1]),
        *_confidence_lines(models[-1], figures[-1]),
        *_path_lines(evaluated),
        *_speed_lines(scores),
    ]
    return "\n".join(lines) + "\n"


def headline(evaluated: Evaluated) -> str:
    """Returns the sentence that counts: how many replies are fully right, beside the best answer
    that is always the same if the questions are the strategy's.
    """
    last = list(evaluated.scores)[-1]
    right = evaluated.scores[last]["measures"]["fully_right"]
    told = f"Fully right: {last} {_cell(right, _percent)} % of {right['n']} replies"
    if not evaluated.constants:
        return f"{told}."
    regime, constant = next(iter(evaluated.constants.items()))
    return f"{told}; the best constant answer (always {regime}) {_cell(constant, _percent)} %."


def _confusion_lines(model: str, figures: Figures) -> list[str]:
    """Returns the table of regimes told by the right ones, in numbers of replies; nothing if no
    question asks for a regime.
    """
    confusion = figures["confusion"]
    if not confusion:
        return []
    told: set[str] = set()
    for counts in confusion.values():
        told.update(counts)
    columns = [regime for regime in (*REGIMES, NO_VERDICT) if regime in told]
    lines = [_line([f"right regime; {model} told", *columns]), _rule(len(columns))]
    for right, counts in confusion.items():
        lines.append(_line([right, *(str(counts.get(regime, 0)) for regime in columns)]))
    return [*lines, ""]


def _confidence_lines(model: str, figures: Figures) -> list[str]:
    """Returns the table of stated confidence against how often the regime was right."""
    rows = figures["confidence"]
    if not rows:
        return []
    titles = [f"confidence of {model}, %", "stated, mean %", "regime right, %", "n"]
    lines = [_line(titles), _rule(len(titles) - 1)]
    for row in rows:
        span = f"{row['from_pct']} to {row['to_pct']}"
        cells = [span, f"{row['stated_pct']:.1f}", f"{row['right_pct']:.1f}", str(row["n"])]
        lines.append(_line(cells))
    return [*lines, ""]


def _header(titles: list[str], difference: str) -> list[str]:
    """Returns the head of a table of estimates. With several models its last column is the last
    one's difference to the first.
    """
    several_models = len(titles) > 2
    if several_models:
        titles = [*titles, difference]
    return [_line([*titles, "n"]), _rule(len(titles))]


def _estimate_lines(rows: list[Row], format_value: _Format) -> list[str]:
    lines = []
    for row in rows:
        cells = [row.words]
        cells += [_cell(estimate, format_value) for estimate in row.estimates]
        if len(row.estimates) > 1:
            first, last = row.estimates[0]["value"], row.estimates[-1]["value"]
            cells.append(_difference(first, last, format_value))
        cells.append(str(row.estimates[0]["n"]))
        lines.append(_line(cells))
    return lines


def _change_lines(evaluated: Evaluated) -> list[str]:
    """Returns a sentence for each model after the first; pairs tell more than two intervals do."""
    first, *others = evaluated.scores
    lines = []
    for model in others:
        change = evaluated.change(model)
        interval = f"[{signed(change['low'])}, {signed(change['high'])}]"
        lines += [
            f"Question by question, the grade of {model} is {signed(change['value'])} {interval}"
            f" against {first}.",
            "",
        ]
    return lines


def _path_lines(evaluated: Evaluated) -> list[str]:
    """Returns the table of the net-exposure path, with what one must know to read it; nothing if
    the questions are rows'.
    """
    path = evaluated.path
    if not evaluated.constants:
        return []
    if path is None:
        return [NO_PATH, ""]
    titles = path_titles(path)
    lines = [_line([f"net-exposure path, {titles[0]}", *titles[1:]]), _rule(len(titles) - 1)]
    lines += [_line([row.words, *row.cells]) for row in path_rows(path)]
    for note in path_notes(path):
        lines += ["", note]
    return [*lines, ""]


def _speed_lines(scores: dict[str, Figures]) -> list[str]:
    lines = [_line(["speed on this machine", *scores]), _rule(len(scores))]
    for name, words in SPEED.items():
        cells = [words]
        for figures in scores.values():
            value = figures["speed"][name]
            cells.append("–" if value is None else f"{value:g}")
        lines.append(_line(cells))
    return lines


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    """Returns the rule under a header, for so many columns of figures."""
    return f"|---{'|---:' * columns}|"


def _cell(estimate: dict[str, Any], format_value: _Format) -> str:
    if estimate["value"] is None:
        return "–"
    low, high = format_value(estimate["low"]), format_value(estimate["high"])
    return f"{format_value(estimate['value'])} [{low}, {high}]"


def _difference(first: float | None, last: float | None, format_value: _Format) -> str:
    if first is None or last is None:
        return "–"
    size = format_value(abs(last - first))
    if last > first:
        return f"+{size}"
    if last < first:
        return f"−{size}"
    return f"±{size}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _grade(value: float) -> str:
    return f"{value:.3f}"
