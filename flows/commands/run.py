"""kospilot demo, run, plan, status, settings: the chain from the command line."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from flows.commands.options import Json, Overrides, Profile
from flows.commands.train import plan_card
from flows.console import duration, follow_run, print_json, say, stderr, stdout, table
from tasks.core.errors import RequestError

if TYPE_CHECKING:
    from tasks.core.chain.plan import Planned
    from tasks.core.chain.run import Run
    from tasks.core.chain.step import Step
    from tasks.core.settings.profiles import Resolved

Force = Annotated[
    list[str] | None,
    typer.Option(help="A step to make again even if nothing changed; repeatable."),
]


def add_to(app: typer.Typer) -> None:
    """Adds this file's commands to the application."""
    for command in (demo, run, plan, status, settings):
        app.command()(command)


def demo(overrides: Overrides = None) -> None:
    """Runs the whole chain, small and real, on this CPU, and asks the model one question."""
    from tasks.core.preflight.prepare import prepare

    prepared = prepare("demo", overrides or [])
    _execute(prepared, list(prepared.steps))
    _ask_released(prepared)


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
    """Runs the chain as a Prefect flow: what is there and intact is skipped."""
    from tasks.core.preflight.prepare import check_steps, prepare

    prepared = prepare(profile, overrides or [], force or [])
    check_steps(prepared.steps, [name for name in (only, until) if name])
    names = list(prepared.steps)
    if only:
        names = [only]
    elif until:
        names = names[: names.index(until) + 1]
    _execute(prepared, names, confirm=not yes and prepared.resolved.profile != "demo")


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
    """Shows what would run, and why."""
    if card and force:
        raise RequestError("--card plans each stage as if it ran: leave --force out.")
    if card:
        plan_card(profile, overrides or [], card, as_json)
        return
    from tasks.core.preflight.prepare import prepare, releases

    *earlier, prepared = releases(prepare(profile, overrides or [], force or []))
    if as_json:
        document: dict[str, Any] = {
            "profile": prepared.resolved.name,
            "steps": _planned_steps(prepared),
        }
        if earlier:
            document["earlier"] = {part.part: _planned_steps(part) for part in earlier}
        print_json(document)
        return
    for part in (*earlier, prepared):
        _show_part(part, part.plan(part.steps), stdout)


def _planned_steps(part: "Run") -> list[dict[str, object]]:
    fields = ("step", "action", "reason", "key")
    return [{name: getattr(line, name) for name in fields} for line in part.plan(part.steps)]


def status(as_json: Json = False) -> None:
    """Shows the latest run: step, progress, loss, tokens/s, time left, memory."""
    from flows.server_api import starting_run
    from tasks.core.chain.status import read_status
    from tasks.core.settings.home import kospilot_home

    latest = read_status(kospilot_home())
    if latest is None or not latest["alive"]:
        starting = starting_run(kospilot_home())
        if starting:
            latest = {"step": "run", "fraction": 0.0, "text": starting, "state": "starting"}
    if as_json:
        print_json(latest or {})
        return
    if latest is None:
        say("Nothing has run yet. Start with `kospilot demo`.")
        return
    state = latest["state"]
    if state == "running" and not latest.get("alive"):
        state = "interrupted"
    percent = 100 * latest["fraction"]
    where = f" on {latest['elsewhere']}" if latest.get("elsewhere") else ""
    told = f"{latest['step']}: {state}{where}, {percent:.0f} %, {latest['text']}"
    stdout.print(told, markup=False)


def settings(profile: Profile, overrides: Overrides = None, as_json: Json = False) -> None:
    """Shows every resolved value, its meaning, and where it came from."""
    from tasks.core.settings.profiles import load, meanings

    resolved = load(profile, overrides or [])
    values = _values(resolved)
    if as_json:
        document = {}
        for name, meaning in meanings().items():
            origin = resolved.origins[name]
            document[name] = {"value": values[name], "origin": origin, "meaning": meaning}
        print_json(document)
        return
    rows = [(name, values[name], resolved.origins[name], text) for name, text in meanings().items()]
    table("", ("setting", "value", "from", "meaning"), rows)


def _values(resolved: "Resolved") -> dict[str, object]:
    """Every resolved value, by `section.name`."""
    values = {}
    for section, fields in resolved.settings.model_dump(mode="json").items():
        for name, value in fields.items():
            values[f"{section}.{name}"] = value
    return values


def _execute(prepared: "Run", names: list[str], confirm: bool = False) -> None:
    """Shows the plan of these steps, and if anything is to do carries out that very plan."""
    from tasks.core.chain.produce import find_inputs
    from tasks.core.preflight.prepare import releases

    find_inputs(prepared, names)
    _show_origins(prepared.resolved)
    parts = releases(prepared) if names == list(prepared.steps) else [prepared]
    # By name: what one part makes the next one finds, and what it merges is gone by then.
    to_run: dict[str, Step] = {}
    for part in parts:
        lines = part.plan([name for name in names if name in part.steps])
        _show_part(part, [line for line in lines if line.step in names], stderr)
        to_run |= {line.step: part.steps[line.step] for line in lines if line.action != "skip"}
    if not to_run:
        say("Nothing to do: every step is there and intact.")
        return
    _check_start(prepared, list(to_run.values()))
    if confirm and stderr.is_terminal:
        typer.confirm("This can take long. Go on?", abort=True, err=True)
    _carry_out(prepared, names)


def _check_start(prepared: "Run", steps: "Sequence[Step]") -> None:
    """Stops now what would stop the run hours later: a full disk, a server that does not answer."""
    from tasks.core.preflight.disk import base_bytes, check_space, needed_gib
    from tasks.core.serving.servers import check_reachable

    check_space(prepared.home, needed_gib(base_bytes(prepared.settings, prepared.home), steps))
    if any(step.asks_server for step in steps):
        check_reachable()


def _carry_out(prepared: "Run", names: list[str]) -> None:
    """Runs the flow in this process, with the recorded server or a private one."""
    from tasks.core.chain.status import end_failed, write_status
    from tasks.core.serving.servers import where_answered

    started = time.time()
    handler = follow_run()
    name = prepared.resolved.name
    write_status(prepared.home, "run", 0.0, f"{name} is starting")
    try:
        _run_flow(prepared, names)
    except BaseException as error:
        end_failed(prepared.home, error)
        raise
    finally:
        handler.close_status()
    took = duration(time.time() - started)
    write_status(prepared.home, "run", 1.0, f"{name} done in {took}", "done")
    say(f"Done in {took}.")
    if "promote" in names:
        registered = prepared.store.manifests("register")[-1].metrics
        say(where_answered(prepared.home, registered["server"]))


def _run_flow(prepared: "Run", names: list[str]) -> None:
    from flows.server import deliver_logs, server

    with server(prepared.home):
        # Only now: Prefect's settings must be settled before it is imported.
        from flows.chain import planned
        from flows.pipeline import full, part

        resolved = prepared.resolved
        arguments = (resolved.profile, list(resolved.overrides), list(prepared.force))
        try:
            with planned(prepared):
                if names == list(prepared.steps):
                    full(*arguments)
                else:
                    part(*arguments, names)
        finally:
            deliver_logs()


def _ask_released(prepared: "Run") -> None:
    """Asks the released model about a held-out day, schema-bound, and shows the graded answer."""
    from flows.commands.models import ask_and_show
    from tasks.core.chain.produce import find
    from tasks.core.evaluation.graded import make_question

    market = find(prepared, "market")
    holdout = prepared.store.path("market", market.key) / "holdout"
    # An English answer has half the tokens of a Korean one.
    question = make_question("regime_classification", holdout, language="en")
    promotion = prepared.store.known("promote", find(prepared, "promote").key).metrics
    holder = f"{promotion['name']}:latest"
    ask_and_show(prepared.home, holder if promotion["promoted"] else promotion["tag"], question)
    if prepared.settings.model.base == "demo":
        say(
            "The demo's model is a toy of 135 million parameters: this proves the chain, not the"
            " skill."
        )


def _show_origins(resolved: "Resolved") -> None:
    values = _values(resolved)
    changed = {name: origin for name, origin in resolved.origins.items() if origin != "default"}
    for name, origin in changed.items():
        if origin == "override":
            say(f"{name} = {values[name]}  (override)")
    whose = f"Profile {resolved.profile}"
    if resolved.file:
        whose = f"{resolved.file}, which extends {resolved.profile}"
    say(
        f"{whose}: {len(changed)} values differ from the defaults (`kospilot settings` shows them)."
    )


def _show_part(part: "Run", lines: "Sequence[Planned]", console: Console) -> None:
    if part.part:
        heading = f"The release of {part.part}, {part.settings.release_tag}:"
        if console is stderr:
            say(heading)
        else:
            console.print(heading, markup=False)
    _show_plan(lines, console)


def _show_plan(lines: "Sequence[Planned]", console: Console) -> None:
    rows = [(line.step, line.action, line.reason) for line in lines]
    table("", ("step", "action", "why"), rows, console)
