"""kospilot demo, run, plan, status, settings: the chain."""

import os
from typing import Annotated

import typer

from flows.commands.train import plan_card
from flows.console import duration, follow_run, print_json, say, stderr, stdout, table
from tasks.core.errors import RequestError

Profile = Annotated[
    str, typer.Argument(help="A profile, e.g. demo or kospi-7b; a wrong one lists them all.")
]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[SETTINGS]...", help="section.name=value")
]
Force = Annotated[
    list[str] | None, typer.Option(help="A step to make again even if nothing changed; repeatable.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def add_to(app: typer.Typer) -> None:
    for command in (demo, run, plan, status, settings):
        app.command()(command)


def demo(overrides: Overrides = None) -> None:
    """The whole chain, small and real, on this machine's CPU; then one question to the model it
    made.
    """
    from tasks.core.chain.run import prepare

    execute("demo", overrides or [])
    ask_released(prepare("demo", overrides or []))


def run(
    profile: Profile,
    overrides: Overrides = None,
    only: Annotated[
        str | None, typer.Option(help="Run this step alone; what it reads must be there.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Run the chain up to this step.")] = None,
    force: Force = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before long work.")] = False,
) -> None:
    """The chain as a Prefect flow: what is there and intact is skipped."""
    execute(profile, overrides or [], force or [], only, until, yes)


def plan(
    profile: Profile,
    overrides: Overrides = None,
    force: Force = None,
    card: Annotated[
        str | None,
        typer.Option(
            help="Instead: how the stages would train on this card, e.g. 8gb, 24gb or RTX-4090."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """What would run, and why."""
    if card:
        if force:
            raise RequestError("--card plans each stage as if it ran: leave --force out.")
        plan_card(profile, overrides or [], card, as_json)
        return
    from tasks.core.chain.run import prepare
    from tasks.core.chain.steps import chain

    prepared = prepare(profile, overrides or [], force or [])
    lines = prepared.plan(chain(prepared.settings))
    if as_json:
        steps = [
            {"step": line.step, "action": line.action, "reason": line.reason, "key": line.key}
            for line in lines
        ]
        print_json({"profile": profile, "steps": steps})
    else:
        _show_plan(lines, stdout)


def status(as_json: Json = False) -> None:
    """The latest run: step, progress, loss, tokens/s, time left, memory."""
    from tasks.core.chain.run import kospilot_home
    from tasks.core.chain.status import read_status

    found = read_status(kospilot_home())
    if as_json:
        print_json(found or {})
    elif found is None:
        say("Nothing has run yet. Start with `kospilot demo`.")
    else:
        state = (
            "running"
            if found["alive"]
            else ("interrupted" if found["state"] == "running" else found["state"])
        )
        stdout.print(
            f"{found['step']}: {state}, {100 * found['fraction']:.0f} %, {found['text']}",
            markup=False,
        )


def settings(profile: Profile, overrides: Overrides = None, as_json: Json = False) -> None:
    """Every resolved value, its meaning, and where it came from."""
    from tasks.core.settings.profiles import load, meanings

    resolved = load(profile, overrides or [])
    values = resolved.settings.model_dump(mode="json")
    rows = []
    for name, meaning in meanings().items():
        section, field = name.split(".")
        rows.append((name, values[section][field], resolved.origins[name], meaning))
    if as_json:
        print_json(
            {
                name: {"value": value, "origin": origin, "meaning": text}
                for name, value, origin, text in rows
            }
        )
    else:
        table("", ("setting", "value", "from", "meaning"), rows)


def execute(
    profile: str,
    overrides: list[str],
    force: list[str] = (),
    only: str | None = None,
    until: str | None = None,
    yes: bool = True,
) -> None:
    """Plans, and if anything is to do carries it out as a Prefect flow in this process."""
    from tasks.core.chain.produce import find_inputs
    from tasks.core.chain.run import check_steps, prepare
    from tasks.core.chain.steps import chain

    prepared = prepare(profile, overrides, force)
    names = list(chain(prepared.settings))
    check_steps(prepared.settings, [name for name in (only, until) if name])
    steps = [only] if only else names[: names.index(until) + 1] if until else names
    find_inputs(prepared, steps)
    _show_origins(prepared.resolved)
    lines = prepared.plan(steps)
    _show_plan([line for line in lines if line.step in steps], stderr)
    if all(line.action == "skip" for line in lines):
        say("Nothing to do: every step is there and intact.")
        return
    _check_start(prepared, [line.step for line in lines if line.action != "skip"])
    if not yes and profile != "demo" and stderr.is_terminal:
        typer.confirm("This can take long. Go on?", abort=True, err=True)
    _carry_out(prepared, steps if (only or until) else None)


def _check_start(prepared, steps: list[str]) -> None:
    """What would stop the run hours later stops it now: a full disk, a model server that does not
    answer.
    """
    from tasks.core.preflight.disk import base_bytes, check_space, needed_gib
    from tasks.core.serving.servers import check_reachable

    check_space(prepared.home, needed_gib(base_bytes(prepared.settings, prepared.home), steps))
    if set(steps) & {"register", "evaluate", "promote"}:
        check_reachable()


def _carry_out(prepared, steps: list[str] | None) -> None:
    """Starts or finds the server, then runs the flow. Prefect must see the environment before it is
    imported.
    """
    import time

    from flows.server import deliver_logs, environment, server
    from tasks.core.chain.status import end_failed, write_status
    from tasks.core.serving.servers import where_answered

    started, handler = time.time(), follow_run()
    resolved = prepared.resolved
    write_status(prepared.home, "run", 0.0, f"{resolved.profile} is starting")
    try:
        with server(prepared.home) as url:
            os.environ.update(environment(prepared.home, url))
            os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
            from flows.pipeline import full, part

            arguments = (resolved.profile, list(resolved.overrides), list(prepared.force))
            try:
                full(*arguments) if steps is None else part(*arguments, steps)
            finally:
                deliver_logs()
    except BaseException:
        end_failed(prepared.home)
        raise
    finally:
        handler.close_status()
    took = duration(time.time() - started)
    write_status(prepared.home, "run", 1.0, f"{resolved.profile} done in {took}", "done")
    say(f"Done in {took}.")
    if steps is None or "promote" in steps:
        say(where_answered(prepared.home))


def ask_released(prepared) -> None:
    """One question about a held-out day to the promoted model, schema-bound and graded."""
    from flows.commands.models import ask_and_show
    from tasks.core.chain.produce import find
    from tasks.core.chain.steps import release_tag
    from tasks.core.evaluation.graded import make_question

    ref = find(prepared, "market")
    holdout = prepared.store.path("market", ref.key) / "holdout"
    question = make_question(
        "regime_classification", holdout, language="en"
    )  # half the tokens of Korean here
    ask_and_show(prepared.home, f"{release_tag(prepared.settings)}:latest", question)
    if prepared.settings.model.base == "demo":
        say(
            "The demo's model is a toy of 135 million parameters: this proves the chain, not the skill."
        )


def _show_origins(resolved) -> None:
    changed = {name: origin for name, origin in resolved.origins.items() if origin != "default"}
    values = resolved.settings.model_dump(mode="json")
    for name, origin in changed.items():
        section, field = name.split(".")
        if origin == "override":
            say(f"{name} = {values[section][field]}  (override)")
    say(
        f"Profile {resolved.profile}: {len(changed)} values differ from the defaults (`kospilot settings` shows them)."
    )


def _show_plan(lines, console) -> None:
    table(
        "",
        ("step", "action", "why"),
        [(line.step, line.action, line.reason) for line in lines],
        console,
    )
