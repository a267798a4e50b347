"""kospilot plan --card, train probe, train sweep: training as it would be, before it is."""

from collections.abc import Iterable
from typing import Annotated

import typer

from flows.console import duration, print_json, say, stderr, stdout, table

Profile = Annotated[str, typer.Argument(help="The profile whose stage is tried out.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[SETTINGS]...", help="section.name=value")
]
StageName = Annotated[
    str | None,
    typer.Option("--stage", help="stage1, stage2 or stage3; the first one if not given."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

app = typer.Typer(
    name="train",
    no_args_is_help=True,
    help="Short trials of a stage on this machine: probe, sweep.",
)

_PLANNED = ("stage", "rows", "steps", "tokens", "checkpointed", "base", "GiB", "s/step", "time")
_MEASURED = ("rank", "parameters", "micro-batch", "tokens/s", "s/step", "GiB", "loss", "eval loss")


def plan_card(profile: str, overrides: list[str], text: str, as_json: bool) -> None:
    """Every stage's plan for a card that need not be here; `tokens` are a micro-batch's,
    `checkpointed` its layers.
    """
    import logging

    from tasks.core.chain.run import kospilot_home
    from tasks.core.preflight.rehearsal import built, expected, shape, stages_of
    from tasks.core.settings.profiles import load
    from tasks.core.training.hardware.datasheets import card_of

    card, settings, home = card_of(text), load(profile, overrides).settings, kospilot_home()
    logging.getLogger("bitsandbytes").setLevel(
        logging.ERROR
    )  # that it lacks a CPU kernel is no matter here
    with stderr.status("looking at the base and the rows"):
        from tasks.core.training.planning.forecast import forecast
        from tasks.core.training.spec import training_spec

        folders = built(profile, overrides)
        config = shape(settings, home, folders)
        told = [
            forecast(
                training_spec(settings, stage, _for(folders), home),
                config,
                expected(settings, stage),
                card,
            )
            for stage in stages_of(settings)
        ]
    if as_json:
        print_json({"card": card.name, "gib": card.gib, "stages": told})
        return
    table("", _PLANNED, [_planned(line) for line in told])
    _print_problems((line["stage"], line) for line in told)
    _say_of_what(card, told)


def _print_problems(lines: Iterable[tuple[str, dict]]) -> None:
    for whose, told in lines:
        if "problem" in told:
            stdout.print(f"{whose}: {told['problem']}", markup=False)


def _for(folders: dict) -> dict:
    """Rows are tokenized with the base's tokenizer: without it their lengths are assumed."""
    return folders if "download" in folders else {}


def _planned(told: dict) -> tuple:
    counted = (told["stage"], f"{told['rows']:,}", f"{told['steps']:,}")
    if "problem" in told:
        return (*counted, *"-" * 6)
    return (
        *counted,
        f"{told['micro_batch_tokens']:,}",
        f"{told['checkpointed']}/{told['layers']}",
        told["base_weights"],
        f"{told['peak_gib']:.1f}",
        "-" if told["step_s"] is None else f"{told['step_s']:.2f}",
        "-" if told["total_s"] is None else duration(told["total_s"]),
    )


def _say_of_what(card, told: list[dict]) -> None:
    if card.tflops:
        say(
            f"Timed as {card.name}, {card.gib:g} GiB: {card.tflops:g} TFLOP/s (bf16) and {card.gb_per_s:g} GB/s by its"
            " data sheet, of which a layer reaches as much as on an H200."
        )
    else:
        say(
            f"Nobody can say how fast a card of {card.gib:g} GiB is: the memory is planned, no time."
        )
    assumed = [line["stage"] for line in told if line["lengths"] == "assumed"]
    if assumed:
        say(
            f"{', '.join(assumed)}: not there yet, so rows of 700 tokens on average are assumed, pairs of 1,050."
        )


@app.command()
def probe(
    profile: Profile = "demo",
    overrides: Overrides = None,
    stage: StageName = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps of each trial.")] = 6,
    as_json: Json = False,
) -> None:
    """Micro-batches of the planned size, half and twice of it: speed and memory beside what the
    planner expects.
    """
    _try_out(
        profile,
        overrides or [],
        stage,
        [{"steps": steps, "scale": scale} for scale in (1, 0.5, 2)],
        as_json,
    )


@app.command()
def sweep(
    profile: Profile = "demo",
    overrides: Overrides = None,
    ranks: Annotated[str, typer.Option(help="LoRA ranks, e.g. 8,16,32.")] = "8,16,32",
    stage: StageName = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps of each trial.")] = 50,
    as_json: Json = False,
) -> None:
    """The same rows with adapters of several ranks: loss, size, speed and memory. Nothing is kept."""
    from tasks.core.errors import RequestError

    parts = [part.strip() for part in ranks.split(",")]
    if not all(part.isdecimal() and int(part) for part in parts):
        raise RequestError(f"--ranks {ranks} is no list of ranks: --ranks 8,16,32.")
    _try_out(
        profile,
        overrides or [],
        stage,
        [{"steps": steps, "rank": int(part)} for part in parts],
        as_json,
    )


def _try_out(
    profile: str, overrides: list[str], stage: str | None, trials: list[dict], as_json: bool
) -> None:
    from tasks.core.chain.run import prepare
    from tasks.core.preflight.rehearsal import try_out

    results: list[dict] = []
    with stderr.status(f"trial 1 of {len(trials)}") as status:

        def hear(told: dict) -> None:
            results.append(told)
            status.update(f"trial {min(len(results) + 1, len(trials))} of {len(trials)}")

        try_out(prepare(profile, overrides), stage, trials, hear)
    if as_json:
        print_json(results)
    else:
        table("", _MEASURED, [_measured(told) for told in results])
        _print_problems((f"trial {number}", told) for number, told in enumerate(results, 1))
        if any("expected_step_s" in told for told in results):
            say("In brackets: what the planner expected.")


def _measured(told: dict) -> tuple:
    if "problem" in told:
        return (told["rank"], *"-" * 7)
    return (
        told["rank"],
        f"{told['parameters'] / 1e6:.2f} M",
        told["micro_batch"],
        f"{told['tokens_per_s']:,.0f}",
        *(_beside(told, name) for name in ("step_s", "peak_gib")),
        f"{told['loss']:.4f}",
        "-" if told["eval_loss"] is None else f"{told['eval_loss']:.4f}",
    )


def _beside(told: dict, name: str) -> str:
    """What was seen, if it was measured, and what the planner expected."""
    seen = "-" if told[name] is None else f"{told[name]:.2f}"
    expected = told.get(f"expected_{name}")
    return seen if expected is None else f"{seen} ({expected:.2f})"
