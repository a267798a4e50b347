"""The figures of a proof for people and programs: parity.json, parity.md and parity.png."""

from collections.abc import Callable
from pathlib import Path

from tasks.core.files.atomic import write_text
from tasks.core.files.json_files import write_json
from tasks.core.parity.chart import draw_chart
from tasks.core.parity.figures import Estimate, Figures
from tasks.core.parity.hop import F16, MERGED, QUANTIZED, REFERENCE, SERVED
from tasks.core.parity.limits import VERSION
from tasks.core.parity.prompts import Prompts

LABELS = {
    REFERENCE: "adapter",
    MERGED: "merged",
    F16: "F16 GGUF",
    QUANTIZED: "quantized",
    SERVED: "served",
}
_COLUMNS = (
    "hop",
    "nats",
    "mean KL",
    "99.9 % KL",
    "same top",
    "greedy",
    "schema",
    "grade",
)
"""What a terminal of 80 columns has room for."""

_MORE_COLUMNS = ("ended", "time")

Written = Callable[[float], str]
"""How a figure of a column is written."""


def write_report(figures: list[Figures], prompts: Prompts, out: Path) -> None:
    """Writes the verdict of a release that passed, and beside it all that was measured."""
    hops = [one.name for one in figures]
    write_json(out / "parity.json", {"hops": [one.as_json() for one in figures]})
    write_text(out / "parity.md", "\n".join(_text(figures, prompts)) + "\n")
    draw_chart(figures, LABELS, out / "parity.png")
    # The only content: figures differ in their last digits from run to run.
    write_json(out / "verdict.json", {"passed": True, "hops": hops, "limits": VERSION})


def table_lines(figures: list[Figures]) -> list[str]:
    """Returns the figures as lines of a table, one line a hop, for a terminal of 80 columns."""
    rows = [list(_COLUMNS)]
    for one in figures:
        rows.append(_cells(one, _without_error))
    widths = [max(len(row[place]) for row in rows) for place in range(len(_COLUMNS))]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  " + "  ".join(cells).rstrip())
    return lines


def _text(figures: list[Figures], prompts: Prompts) -> list[str]:
    tokens = sum(len(prompt.answer) for prompt in prompts.prompts)
    columns = _COLUMNS + _MORE_COLUMNS
    lines = [
        "# What was trained is what answers",
        "",
        f"{len(prompts.prompts)} prompts that the model was trained on, {tokens} tokens of their"
        f" right answers, {len(prompts.answered)} free replies. The adapter is computed on its own"
        " base, as it was trained; nats: what a token of the right answers costs; KL: how far a"
        " hop's distribution of the next token is from the adapter's, in nats. After ± the standard"
        " error.",
        "",
        f"| {' | '.join(columns)} |",
        f"|---{'|---:' * (len(columns) - 1)}|",
    ]
    for one in figures:
        more = [_with_error(one.replies.ended, _percent), f"{one.seconds:.1f} s"]
        lines.append(f"| {' | '.join([*_cells(one, _with_error), *more])} |")
    return lines


def _cells(figures: Figures, write: Callable[[Estimate | None, Written], str]) -> list[str]:
    """The cells of _COLUMNS; `write` says whether an estimate is shown with its error."""
    high = "–" if figures.kl_high is None else f"{figures.kl_high:.2g}"
    return [
        LABELS[figures.name],
        write(figures.nats, _number),
        write(figures.kl_mean, _small),
        high,
        write(figures.same_top, _percent),
        write(figures.replies.greedy, _percent),
        write(figures.replies.schema, _percent),
        write(figures.replies.grade, _grade),
    ]


def _without_error(estimate: Estimate | None, written: Written) -> str:
    return "–" if estimate is None else written(estimate.value)


def _with_error(estimate: Estimate | None, written: Written) -> str:
    if estimate is None:
        return "–"
    return f"{written(estimate.value)} ± {written(estimate.error)}"


def _number(value: float) -> str:
    return f"{value:.4f}"


def _small(value: float) -> str:
    return f"{value:.1e}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _grade(value: float) -> str:
    return f"{value:.2f}"
