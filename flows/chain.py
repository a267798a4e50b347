"""Carries out steps of the chain as Prefect tasks, in order, and leaves their table in the UI."""

import contextlib
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from prefect.artifacts import create_markdown_artifact
from prefect.exceptions import Pause

from flows.log_lines import keep_run_log
from flows.naming import label_host, name_run
from flows.notices import tell_refused
from flows.run_figures import Done, figures_kept, tell_unplanned
from tasks.core.chain.plan import is_idle
from tasks.core.chain.produce import find_inputs
from tasks.core.chain.run import Run
from tasks.core.chain.status import end_failed, write_status
from tasks.core.preflight.prepare import check_market_seen, prepare
from tasks.core.preflight.sent import Sent, prepare_sent
from tasks.core.records.artifacts import Ref
from tasks.core.settings.home import kospilot_home
from tasks.pausing import tell_rest
from tasks.reaching import await_server
from tasks.shown import show_files
from tasks.steps import CACHED, TASKS

log = logging.getLogger("tasks.chain")

WITH_REJECTS = ("rejects", "pairs")
"""The steps that need a trained Stage 2, if pairs.model_reject_share asks for its answers."""

_planned: ContextVar[Run | None] = ContextVar("planned", default=None)


@dataclass(frozen=True)
class _Row(Done):
    """One step's row in the UI's table."""

    link: str
    why: str
    report: str = ""

    def text(self) -> str:
        why = self.why.replace("|", "\\|")
        took = f"{self.seconds:.1f} s"
        artifact = f"`{self.step}/{self.key}`" if self.key else ""
        return f"| {self.link} | {self.outcome} | {why} | {took} | {self.report} | {artifact} |"


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
    with _ends_told(home):
        try:
            check_market_seen(profile, overrides, home)
            return prepare(profile, overrides, force)
        except Exception:
            tell_unplanned(home, profile)
            raise


@contextlib.contextmanager
def _ends_told(home: Path) -> Iterator[None]:
    """Tells `kospilot status` and Prefect if this block ends with an error."""
    try:
        yield
    except BaseException as error:
        end_failed(home, error)
        if isinstance(error, Pause):
            tell_rest()
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
    await_server()
    name_run(run, [line for line in run.plan(named) if line.step in named])
    started = time.time()
    write_status(run.home, "run", 0.0, f"{run.history} is starting")
    with _ends_told(run.home):
        _carry_out_steps(run, named)
    took = f"{time.time() - started:.0f} s"
    write_status(run.home, "run", 1.0, f"{run.history} done in {took}", "done")


def carry_out_sent(sent: Sent) -> None:
    """Carries out one step that a run on another machine has sent, and waits for.

    Raises RequestError if what it would make here is not what is waited for.
    """
    begin()
    home = kospilot_home()
    await_server()
    label_host()
    write_status(home, sent.name, 0.0, "is starting")
    with _ends_told(home):
        run = prepare_sent(sent)
        with run.store.running():
            TASKS[sent.name].with_options(refresh_cache=sent.forced)(run, sent.refs)
    write_status(home, sent.name, 1.0, "done", "done")
    await_server()


def _carry_out_steps(run: Run, named: list[str]) -> None:
    names = [name for name in named if not is_idle(run.steps[name], run.world(), named)]
    rows: list[_Row] = []
    # `artifacts gc` spares what this run may read.
    with run.store.running(), figures_kept(run, rows, named):
        refs = find_inputs(run, names)
        try:
            for name in names:
                reads = {other: refs[other] for other in run.steps[name].reads}
                refs[name] = _carry_out_step(run, name, reads, rows)
        except Exception:  # not by Ctrl-C, which nothing holds up
            await_server()
            raise
        finally:
            _show_table(run.resolved.name, rows)


def _carry_out_step(run: Run, name: str, reads: dict[str, Ref], rows: list[_Row]) -> Ref:
    """Calls one task. Its row says whether it made the artifact or found it, and why."""
    started = time.time()
    why = run.why(name, reads) or "its artifact is there and intact"
    write_status(run.home, name, 0.0, why)
    step_task = TASKS[name].with_options(refresh_cache=name in run.force)
    state = step_task(run, reads, return_state=True)
    seconds = time.time() - started
    link = f"[{name}](../../runs/task-run/{state.state_details.task_run_id})"
    if not state.is_completed():
        rows.append(_Row(name, "failed", seconds, "", link, why))
    ref = state.result()
    assert isinstance(ref, Ref)
    await_server()
    report = run.steps[name].report
    shown = show_files(run, ref, report) if report else ""  # of a step that was skipped too
    outcome = "skipped" if state.name == CACHED else "ran"
    rows.append(_Row(name, outcome, seconds, ref.key, link, why, shown))
    if name == "promote" and outcome == "ran":
        tell_refused(run.store.known(name, ref.key).metrics)
    told = {"step": name, "seconds": seconds, "outcome": outcome}
    log.info("%s: %s in %.1f s (%s)", name, outcome, seconds, why, extra=told)
    return ref


def _show_table(name: str, rows: list[_Row]) -> None:
    lines = ["| step | state | why | time | report | artifact |", "|---|---|---|---|---|---|"]
    lines += [row.text() for row in rows]
    create_markdown_artifact("\n".join(lines), "steps", f"Steps of {name}")
