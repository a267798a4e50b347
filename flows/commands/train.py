"""kospilot plan --card, train probe, train sweep: training as it would be, before it is."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands.options import Json, Overrides
from flows.console import duration, print_json, say, stderr, stdout, table

if TYPE_CHECKING:
    from tasks.core.chain.run import Run
    from tasks.core.training.hardware.datasheets import Card

Profile = Annotated[str, typer.Argument(help="The profile or file whose stage is tried out.")]
Stage = Annotated[
    str | None,
    typer.Option("--stage", help="stage1, stage2 or stage3; the first one if not given."),
]

app = typer.Typer(
    name="train",
    no_args_is_help=True,
    help="Short trials of a stage on this machine: probe, sweep.",
)

_PLANNED = ("stage", "rows", "steps", "tokens", "checkpointed", "base", "GiB", "s/step", "time")
_MEASURED = ("rank", "parameters", "micro-batch", "tokens/s", "s/step", "GiB", "loss", "eval loss")

Figures = dict[str, Any]
"""What a forecast or a trial says of one stage."""


def plan_card(profile: str, overrides: list[str], card_name: str, as_json: bool) -> None:
    """Shows every stage's plan for a card that need not be here.

    In the table, `tokens` are a micro-batch's, and `checkpointed` counts its layers.
    """
    import logging

    from tasks.core.training.hardware.datasheets import card_of

    card = card_of(card_name)
    # That bitsandbytes lacks a CPU kernel is no matter here.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    with stderr.status("looking at the base and the rows"):
        stages = _forecasts(profile, overrides, card)
    if as_json:
        print_json({"card": card.name, "gib": card.gib, "stages": stages})
        return
    table("", _PLANNED, [_planned_cells(figures) for figures in stages])
    _print_problems((figures["stage"], figures) for figures in stages)
    _say_of_what(card, stages)


def _forecasts(profile: str, overrides: list[str], card: "Card") -> list[Figures]:
    """The forecast of each stage, with the rows' own lengths as far as the rows are there."""
    from tasks.core.errors import RequestError
    from tasks.core.preflight.trials import (
        expect_rows,
        find_built,
        read_shape,
        spec_of,
        stages_of,
    )
    from tasks.core.settings.home import kospilot_home
    from tasks.core.settings.profiles import load
    from tasks.core.training.planning.forecast import forecast

    settings = load(profile, overrides).settings
    stages = stages_of(settings)
    try:
        folders = find_built(profile, overrides)
    except RequestError as error:
        say(f"The rows' own lengths are not known: {error}")
        folders = {}
    shape = read_shape(settings, kospilot_home(), folders)
    # Rows are tokenized with the base's tokenizer: without it their lengths are assumed.
    tokenizable = folders if "download" in folders else {}
    forecasts = []
    for stage in stages:
        spec = spec_of(settings, stage, tokenizable)
        forecasts.append(forecast(spec, shape, expect_rows(settings, stage), card))
    return forecasts


def _print_problems(stages: Iterable[tuple[str, Figures]]) -> None:
    for name, figures in stages:
        if "problem" in figures:
            stdout.print(f"{name}: {figures['problem']}", markup=False)


def _planned_cells(figures: Figures) -> tuple[str, ...]:
    counts = (figures["stage"], f"{figures['rows']:,}", f"{figures['steps']:,}")
    if "problem" in figures:
        return (*counts, *"-" * 6)
    return (
        *counts,
        f"{figures['micro_batch_tokens']:,}",
        f"{figures['checkpointed']}/{figures['layers']}",
        figures["base_weights"],
        f"{figures['peak_gib']:.1f}",
        _number(figures["step_s"], ".2f"),
        "-" if figures["total_s"] is None else duration(figures["total_s"]),
    )


def _number(value: float | None, form: str) -> str:
    """A number as text, or a dash if nobody knows it."""
    return "-" if value is None else f"{value:{form}}"


def _say_of_what(card: "Card", stages: list[Figures]) -> None:
    """Says which data sheet the times come from, and which rows were only assumed."""
    if card.tflops:
        say(
            f"The times assume the data sheet of {card.name}, {card.gib:g} GiB:"
            f" {card.tflops:g} TFLOP/s (bf16) and {card.gb_per_s:g} GB/s, of which a layer reaches"
            " the same share as on an H200."
        )
    else:
        say(
            f"A size of {card.gib:g} GiB does not say how fast a card is, so only its memory is"
            " planned. Name the card for times, e.g. --card RTX-4090."
        )
    assumed = [figures["stage"] for figures in stages if figures["lengths"] == "assumed"]
    if assumed:
        say(
            f"The rows of {', '.join(assumed)} are not made yet: 700 tokens a row are assumed,"
            " 1,050 a pair."
        )


@app.command()
def probe(
    profile: Profile = "demo",
    overrides: Overrides = None,
    stage: Stage = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps of each trial.")] = 6,
    as_json: Json = False,
) -> None:
    """Measures micro-batches of the planned size, half and twice of it: speed and memory.

    What the planner expected stands beside what was measured.
    """
    from tasks.core.preflight.prepare import prepare

    trials = [{"steps": steps, "scale": scale} for scale in (1, 0.5, 2)]
    _show_results(_try_out(prepare(profile, overrides or []), stage, trials), as_json)


@app.command()
def sweep(
    profile: Profile = "demo",
    overrides: Overrides = None,
    ranks: Annotated[str, typer.Option(help="LoRA ranks, e.g. 8,16,32.")] = "8,16,32",
    stage: Stage = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps of each trial.")] = 50,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Put the trials on this Ray cluster, side by side."),
    ] = None,
    gpu: Annotated[
        bool | None,
        typer.Option(
            "--gpu/--cpu",
            help="With --ray, each trial takes a GPU or one CPU; if not given, a GPU if there is"
            " one.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compares adapters of several ranks on the same rows; keeps nothing."""
    from tasks.core.errors import RequestError
    from tasks.core.preflight.prepare import prepare

    parts = [part.strip() for part in ranks.split(",")]
    if not all(part.isdecimal() and int(part) for part in parts):
        raise RequestError(f"--ranks {ranks} is no list of ranks: --ranks 8,16,32.")
    if ray is None and gpu is not None:
        raise RequestError("--gpu and --cpu are for trials on a cluster: --ray ADDRESS.")
    trials = [{"steps": steps, "rank": int(part)} for part in parts]
    run = prepare(profile, overrides or [])
    if ray is None:
        results = _try_out(run, stage, trials)
    else:
        results = _try_out_on_cluster(run, stage, trials, ray, gpu)
    _show_results(results, as_json)


def _try_out(run: "Run", stage: str | None, trials: list[dict[str, Any]]) -> list[Figures]:
    """Runs trials on this machine, one after the other."""
    from tasks.core.preflight.trials import try_out

    results: list[Figures] = []
    with stderr.status(f"trial 1 of {len(trials)}") as status:

        def take(figures: Figures) -> None:
            results.append(figures)
            status.update(f"trial {min(len(results) + 1, len(trials))} of {len(trials)}")

        try_out(run, stage, trials, take)
    return results


def _try_out_on_cluster(
    run: "Run", stage: str | None, trials: list[dict[str, Any]], address: str, gpu: bool | None
) -> list[Figures]:
    """Runs trials on the nodes of a Ray cluster, as many at once as it has room for."""
    from flows.server import deliver_logs, server
    from flows.server_settings import base_settings
    from tasks.core.preflight.cluster import check_nodes, joined, place_trials
    from tasks.core.preflight.trials import find_tried

    spec = find_tried(run, stage)
    with joined(address, base_settings(run.home)):
        placement = place_trials(gpu)
        with server(run.home) as url:
            check_nodes(placement, spec, url)
            takes = "a GPU" if placement.on_gpu else "one CPU"
            names = ", ".join(node.name for node in placement.nodes)
            say(f"Trials that each take {takes}, on {names}.")
            # Only now: Prefect's settings must be settled before it is imported.
            from flows.sweep import sweep as sweep_flow

            try:
                with stderr.status(f"{len(trials)} trials"):
                    return sweep_flow(spec, trials, run.settings.release.name, placement.options)
            finally:
                deliver_logs()


def _show_results(results: list[Figures], as_json: bool) -> None:
    if as_json:
        print_json(results)
        return
    columns = (*_MEASURED, "node") if "node" in results[0] else _MEASURED
    table("", columns, [_measured_cells(figures) for figures in results])
    _print_problems((f"trial {number}", figures) for number, figures in enumerate(results, 1))
    if any("expected_step_s" in figures for figures in results):
        say("In brackets: what the planner expected.")


def _measured_cells(figures: Figures) -> tuple[Any, ...]:
    where = (figures["node"],) if "node" in figures else ()
    if "problem" in figures:
        return (figures["rank"], *"-" * 7, *where)
    return (
        figures["rank"],
        f"{figures['parameters'] / 1e6:.2f} M",
        figures["micro_batch"],
        f"{figures['tokens_per_s']:,.0f}",
        _beside_expected(figures, "step_s"),
        _beside_expected(figures, "peak_gib"),
        f"{figures['loss']:.4f}",
        _number(figures["eval_loss"], ".4f"),
        *where,
    )


def _beside_expected(figures: Figures, name: str) -> str:
    """What was measured, if it was, and in brackets what the planner expected, if it did."""
    measured = _number(figures[name], ".2f")
    expected = figures.get(f"expected_{name}")
    return measured if expected is None else f"{measured} ({expected:.2f})"
