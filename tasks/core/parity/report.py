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
    REFERENCE: "adapter on its base",
    MERGED: "merged",
    F16: "F16 GGUF",
    QUANTIZED: "quantized",
    SERVED: "served",
}
_COLUMNS = (
    "hop",
    "nats a token",
    "mean KL",
    "99.9 % KL",
    "same top",
    "greedy",
    "ended",
    "schema",
    "grade",
    "time",
)


def write_report(figures: list[Figures], prompts: Prompts, out: Path) -> None:
    """Writes the verdict of a release that passed, and beside it all that was measured."""
    hops = [one.name for one in figures]
    write_json(out / "parity.json", {"hops": [one.as_json() for one in figures]})
    write_text(out / "parity.md", "\n".join(_text(figures, prompts)) + "\n")
    draw_chart(figures, LABELS, out / "parity.png")
    # The only content: figures differ in their last digits from run to run.
    write_json(out / "verdict.json", {"passed": True, "hops": hops, "limits": VERSION})


def table_lines(figures: list[Figures]) -> list[str]:
    """Returns the figures as lines of a table, one line a hop, for a terminal."""
    rows = [list(_COLUMNS), *map(_cells, figures)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_COLUMNS))]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  " + "  ".join(cells).rstrip())
    return lines


def _text(figures: list[Figures], prompts: Prompts) -> list[str]:
    tokens = sum(len(prompt.answer) for prompt in prompts.prompts)
    lines = [
        "# What was trained is what answers",
        "",
        f"{len(prompts.prompts)} prompts that the model was trained on, {tokens} tokens of their"
        f" right answers, {len(prompts.answered)} free replies. KL: how far a hop's distribution of"
        " the next token is from the adapter's on its own base, in nats. After ± the standard"
        " error.",
        "",
        f"| {' | '.join(_COLUMNS)} |",
        f"|---{'|---:' * (len(_COLUMNS) - 1)}|",
    ]
    for one in figures:
        lines.append(f"| {' | '.join(_cells(one))} |")
    return lines


def _cells(figures: Figures) -> list[str]:
    high = "–" if figures.kl_high is None else f"{figures.kl_high:.2g}"
    return [
        LABELS[figures.name],
        _cell(figures.nats, _number),
        _cell(figures.kl_mean, _small),
        high,
        _cell(figures.same_top, _percent),
        _cell(figures.replies.greedy, _percent),
        _cell(figures.replies.ended, _percent),
        _cell(figures.replies.schema, _percent),
        _cell(figures.replies.grade, _grade),
        f"{figures.seconds:.1f} s",
    ]


def _cell(estimate: Estimate | None, written: Callable[[float], str]) -> str:
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
