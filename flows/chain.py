"""Carries out steps of the chain as Prefect tasks, in order, and leaves their table in the UI."""

import contextlib
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace

from prefect.artifacts import create_markdown_artifact
from prefect.exceptions import Pause

from flows.log_lines import keep_run_log
from flows.naming import name_run
from flows.notices import tell_refused
from tasks.core.chain.plan import is_idle
from tasks.core.chain.produce import find_inputs
from tasks.core.chain.run import Run
from tasks.core.chain.status import end_failed, write_status
from tasks.core.preflight.prepare import prepare
from tasks.core.records.artifacts import Ref
from tasks.core.settings.home import kospilot_home
from tasks.pausing import tell_rest
from tasks.shown import show_files
from tasks.steps import CACHED, TASKS

log = logging.getLogger("tasks.chain")

WITH_REJECTS = ("rejects", "pairs")
"""The steps that need a trained Stage 2, if pairs.model_reject_share asks for its answers."""

_planned: ContextVar[Run | None] = ContextVar("planned", default=None)


@dataclass(frozen=True)
class _Row:
    """One step's row in the UI's table."""

    link: str
    why: str
    seconds: float
    outcome: str = ""
    report: str = ""
    artifact: str = ""

    def text(self) -> str:
        why = self.why.replace("|", "\\|")
        took = f"{self.seconds:.1f} s"
        return (
            f"| {self.link} | {self.outcome} | {why} | {took} | {self.report} | {self.artifact} |"
        )


@contextlib.contextmanager
def planned(run: Run) -> Iterator[None]:
    """Lets flows that are called in this block carry out this very run, as it was shown."""
    token = _planned.set(run)
    try:
        yield
    finally:
        _planned.reset(token)


def run_of(profile: str, overrides: Sequence[str], force: Sequence[str]) -> Run:
    """Returns the run that was planned for exactly these parameters, or else a new one."""
    run = _planned.get()
    if run is None:
        return new_run(profile, overrides, force)
    resolved = run.resolved
    given = (profile, tuple(overrides), tuple(force))
    assert given == (resolved.profile, resolved.overrides, run.force), "another run was planned"
    return run


def new_run(profile: str, overrides: Sequence[str], force: Sequence[str]) -> Run:
    """Returns a run that nobody has planned yet, as a worker needs one.

    `kospilot status` is told of it, because it may end here, with a wrong setting.
    """
    begin()
    home = kospilot_home()
    write_status(home, "run", 0.0, f"{profile} is being planned")
    try:
        return prepare(profile, overrides, force)
    except BaseException as error:
        end_failed(home, error)
        raise


def begin() -> None:
    """Lets relative paths begin where the person stands who started the worker, and logs speak.

    A worker's run begins elsewhere: its Prefect would read the files of that folder as its own.
    What the run tells from here on is kept by Prefect.
    """
    os.chdir(os.environ.get("KOSPILOT_FOLDER", "."))
    logging.getLogger("tasks").setLevel(logging.INFO)
    keep_run_log(kospilot_home())


def carry_out(run: Run, only: Iterable[str] | None = None) -> None:
    """Runs the whole chain, or `only` some of its steps, and tells `kospilot status` of it.

    What those steps read must then be there already: RequestError if it is not.
    """
    wanted = run.steps if only is None else only
    named = [name for name in run.steps if name in wanted]
    name_run(run, [line for line in run.plan(named) if line.step in named])
    started = time.time()
    write_status(run.home, "run", 0.0, f"{run.history} is starting")
    try:
        _carry_out_steps(run, named)
    except BaseException as error:
        end_failed(run.home, error)
        if isinstance(error, Pause):
            tell_rest()
        raise
    took = f"{time.time() - started:.0f} s"
    write_status(run.home, "run", 1.0, f"{run.history} done in {took}", "done")


def _carry_out_steps(run: Run, named: list[str]) -> None:
    names = [name for name in named if not is_idle(run.steps[name], run.world(), named)]
    rows: list[_Row] = []
    with run.store.running():  # `artifacts gc` spares what this run may read
        refs = find_inputs(run, names)
        try:
            for name in names:
                reads = {other: refs[other] for other in run.steps[name].reads}
                refs[name] = _carry_out_step(run, name, reads, rows)
        finally:
            _show_table(run.resolved.profile, rows)


def _carry_out_step(run: Run, name: str, reads: dict[str, Ref], rows: list[_Row]) -> Ref:
    """Calls one task. Its row says whether it made the artifact or found it, and why."""
    started = time.time()
    why = run.why(name, reads) or "its artifact is there and intact"
    write_status(run.home, name, 0.0, why)
    step_task = TASKS[name].with_options(refresh_cache=name in run.force)
    state = step_task(run, reads, return_state=True)
    seconds = time.time() - started
    row = _Row(f"[{name}](../../runs/task-run/{state.state_details.task_run_id})", why, seconds)
    if not state.is_completed():
        rows.append(replace(row, outcome="failed"))
    ref = state.result()
    assert isinstance(ref, Ref)
    report = run.steps[name].report
    link = show_files(run, ref, report) if report else ""  # of a step that was skipped too
    outcome = "skipped" if state.name == CACHED else "ran"
    rows.append(replace(row, outcome=outcome, report=link, artifact=f"`{name}/{ref.key}`"))
    if name == "promote" and outcome == "ran":
        tell_refused(run.store.known(name, ref.key).metrics)
    told = {"step": name, "seconds": seconds, "outcome": outcome}
    log.info("%s: %s in %.1f s (%s)", name, outcome, seconds, why, extra=told)
    return ref


def _show_table(profile: str, rows: list[_Row]) -> None:
    lines = ["| step | state | why | time | report | artifact |", "|---|---|---|---|---|---|"]
    lines += [row.text() for row in rows]
    create_markdown_artifact("\n".join(lines), "steps", f"Steps of {profile}")
