"""The picture of a training's loss. Reads telemetry lines; writes a PNG file."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator

from tasks.core.files.atomic import replacing


def draw_loss(telemetry: list[dict[str, Any]], picture: Path, stage: str) -> None:
    """Draws the loss over the optimizer steps, with the learning rate behind it.

    Losses on held-out rows are points. Whoever watches never reads half a picture.
    """
    trained = [line for line in telemetry if "loss" in line]
    evaluated = [line for line in telemetry if "eval_loss" in line]
    figure = Figure(figsize=(7, 3.6), dpi=130, layout="constrained")
    axes = figure.subplots()
    _draw_learning_rate(axes, trained)
    _draw_losses(axes, trained, evaluated)
    axes.set(xlabel="optimizer step", ylabel=_loss_label(trained), title=f"{stage}: loss")
    whole_steps = AutoLocator()
    whole_steps.set_params(integer=True)
    axes.xaxis.set_major_locator(whole_steps)
    with replacing(picture) as neighbour:
        figure.savefig(neighbour, format="png")


def _draw_learning_rate(axes: Axes, trained: list[dict[str, Any]]) -> None:
    steps = [line["step"] for line in trained]
    rates = [line["learning_rate"] for line in trained]
    behind = axes.twinx()
    behind.fill_between(steps, rates, color="#d9d9d9", alpha=0.5, step="mid")
    behind.set_ylabel("learning rate", color="#8a8a8a")
    behind.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    axes.set_zorder(behind.get_zorder() + 1)
    axes.patch.set_visible(False)


def _draw_losses(
    axes: Axes, trained: list[dict[str, Any]], evaluated: list[dict[str, Any]]
) -> None:
    steps = [line["step"] for line in trained]
    losses = [line["loss"] for line in trained]
    axes.plot(steps, losses, color="#1f5fa8", marker="o", markersize=3, label="train")
    if evaluated:
        steps = [line["step"] for line in evaluated]
        losses = [line["eval_loss"] for line in evaluated]
        axes.scatter(steps, losses, color="#c23b22", zorder=3, label="held-out rows")
        axes.legend(frameon=False)


def _loss_label(trained: list[dict[str, Any]]) -> str:
    if any("reward_margin" in line for line in trained):
        return "DPO loss (ln 2 = no preference yet)"
    return "loss (nats per token)"
