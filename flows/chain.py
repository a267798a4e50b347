"""Carries out steps of the chain as Prefect tasks, in order, and leaves their table in the UI."""

import logging
import os
import time
from collections.abc import Iterable

from prefect.artifacts import create_markdown_artifact
from prefect.settings import PREFECT_UI_URL

from tasks import data, evaluation, market, rejects, release, serving, synthesis, training
from tasks.core.chain.housekeeping import run_lock
from tasks.core.chain.produce import find_inputs
from tasks.core.chain.run import Run, prepare
from tasks.core.chain.steps import chain
from tasks.core.records.artifacts import Ref

log = logging.getLogger("tasks.chain")

TASKS = {
    "download": data.download,
    "normalize": data.normalize,
    "market": market.market,
    "synthesize": synthesis.synthesize,
    "rejects": rejects.rejects,
    "pairs": synthesis.pairs,
    "stage1": training.stage1,
    "stage2": training.stage2,
    "stage3": training.stage3,
    "merge": release.merge,
    "gguf": release.gguf,
    "quantize": release.quantize,
    "register": serving.register,
    "baseline": release.baseline,
    "evaluate": evaluation.evaluate,
    "promote": serving.promote,
}


def carry_out(
    profile: str, overrides: Iterable[str], force: Iterable[str], only: Iterable[str] | None = None
) -> None:
    """Runs the whole chain, or only some steps: what those read must then be there already, or it
    is refused.
    """
    run = prepare(profile, overrides, force)
    steps = chain(run.settings)
    names = list(steps) if only is None else [name for name in steps if name in only]
    refs = find_inputs(run, names)
    lines: list[str] = []
    try:
        with run.store.locked(
            run_lock(os.getpid())
        ):  # `artifacts gc` spares what this run may read
            for name in names:
                refs[name] = _call(
                    run, name, {other: refs[other] for other in steps[name].reads}, lines
                )
    finally:
        table = "\n".join(["| step | state | time | artifact |", "|---|---|---|---|", *lines])
        create_markdown_artifact(table, "steps", f"Steps of {profile}")


def _call(run: Run, name: str, reads: dict[str, Ref], lines: list[str]) -> Ref:
    """One task. Its line says whether it made the artifact or found it."""
    started = time.time()
    known = {manifest.key: manifest.made["finished"] for manifest in run.store.manifests(name)}
    state = TASKS[name].with_options(refresh_cache=name in run.force)(run, reads, return_state=True)
    link = (
        f"[{name}]({PREFECT_UI_URL.value() or ''}/runs/task-run/{state.state_details.task_run_id})"
    )
    seconds = time.time() - started
    if not state.is_completed():
        lines.append(f"| {link} | failed | {seconds:.1f} s | |")
    ref = state.result()
    made = run.store.manifest(name, ref.key).made["finished"] != known.get(ref.key)
    outcome = "ran" if made else "skipped"
    lines.append(f"| {link} | {outcome} | {seconds:.1f} s | `{name}/{ref.key}` |")
    log.info("%s", outcome, extra={"step": name, "seconds": seconds, "outcome": outcome})
    return ref
