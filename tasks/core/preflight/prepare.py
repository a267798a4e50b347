"""Before a run: its settings are resolved, and the outside world is surveyed.

Writes no artifact; may pin hub revisions, generate the demo market and remember digests.
"""

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tasks.core.chain.plan import Outside
from tasks.core.chain.run import Run
from tasks.core.chain.step import Step, Surroundings
from tasks.core.errors import RequestError, did_you_mean
from tasks.core.files.memory import DigestMemory
from tasks.core.market.folder import named_folder
from tasks.core.processes.host import host_name
from tasks.core.serving.servers import HeldModels
from tasks.core.settings.home import kospilot_home
from tasks.core.settings.profiles import Resolved, load
from tasks.core.settings.tree import STAGES, Settings
from tasks.core.steps import chain


def prepare(profile: str, overrides: Iterable[str] = (), force: Iterable[str] = ()) -> Run:
    """Returns a run of this profile, or of a file of one's own, ready to be planned.

    force: the steps to make again even if nothing changed. Raises RequestError if it cannot be.
    """
    resolved = load(profile, tuple(overrides))
    steps = chain(resolved.settings)
    check_steps(steps, force)
    return surveyed_run(resolved, force, steps, surveyed=steps)


def check_market_seen(profile: str, overrides: Iterable[str], home: Path) -> None:
    """Raises RequestError if this machine, whose worker took a run, does not see its market."""
    market = load(profile, overrides).settings.market
    folder = named_folder(market, home).absolute()
    if market.dir != "demo" and not folder.is_dir():
        raise RequestError(
            f"There is no market folder {folder} on {host_name()}, whose worker took this run"
            f" (market.dir={market.dir}). Make one with `kospilot market import …`, take"
            " market.dir=demo, or, if it lies on another machine, mount it here at this path."
        )


def surveyed_run(
    resolved: Resolved, force: Iterable[str], steps: dict[str, Step], surveyed: dict[str, Step]
) -> Run:
    """Returns a run of these steps, and looks at the world that the surveyed ones depend on."""
    home = kospilot_home()
    return Run(
        resolved=resolved,
        home=home,
        steps=steps,
        outside=survey(surveyed, resolved.settings, home),
        force=tuple(force),
        ask_server=lambda: HeldModels(home).problem,
    )


def releases(run: Run) -> list[Run]:
    """The parts of a run: one for each earlier stage of release.stages, then the run itself.

    Each earlier part ends with that stage's release, and what it makes before is the run's own.
    Raises RequestError if steps are forced, which would be made anew by every part.
    """
    earlier = [
        stage
        for stage in STAGES
        if stage in run.settings.release.stages and stage != run.settings.released_stage
    ]
    if earlier and run.force:
        raise RequestError(
            f"--force {run.force[0]} is not for a run of several releases: leave release.stages"
            " out this time."
        )
    return [*(_part(run, stage) for stage in earlier), run]


def _part(run: Run, stage: str) -> Run:
    """The run as if training ended with a stage, and no more of it than its release needs."""
    skipped = [name for name in STAGES if name in run.settings.stages.skip or name > stage]
    ends_here = ("release.stages=[]", f"stages.skip=[{', '.join(skipped)}]")
    overrides = [*run.resolved.overrides, *ends_here]
    if "stage2" in skipped:
        overrides.append("pairs.model_reject_share=0")  # nobody is there to be asked
    part = prepare(run.resolved.profile, overrides)
    resolved = replace(part.resolved, file=run.resolved.file)  # which its history is named after
    needed = {line.step for line in part.plan(["promote"])}
    steps = {}
    for name, step in part.steps.items():
        if name in needed or step.rehearses:
            steps[name] = step
    return replace(part, resolved=resolved, steps=steps, part=stage)


def check_steps(steps: dict[str, Step], names: Iterable[str]) -> None:
    """Raises RequestError if a step is not in the chain, with the nearest name that is."""
    for name in names:
        if name not in steps:
            raise RequestError(
                f"There is no step {name!r}.{did_you_mean(name, steps)} Steps: {', '.join(steps)}."
            )


def survey(steps: dict[str, Step], settings: Settings, home: Path) -> Outside:
    """Digests and identities of all that the steps depend on outside the store.

    Generates the demo market if the settings ask for it.
    """
    memory = DigestMemory.of(home)
    around = Surroundings(settings, home, memory)
    outside = {}
    for name, step in steps.items():
        if step.outside:
            outside[name] = step.outside(around)
    with contextlib.suppress(OSError):  # on a full disk the files are read again the next time
        memory.save()
    return outside
