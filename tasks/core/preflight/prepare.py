"""Before a run: its settings are resolved, and the outside world is surveyed.

Writes no artifact; may pin hub revisions, generate the demo market and remember digests.
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from tasks.core.chain.plan import Outside
from tasks.core.chain.run import Run
from tasks.core.chain.step import Step, Surroundings
from tasks.core.errors import RequestError, did_you_mean
from tasks.core.files.memory import DigestMemory
from tasks.core.serving.servers import HeldModels
from tasks.core.settings.home import kospilot_home
from tasks.core.settings.profiles import load
from tasks.core.settings.tree import Settings
from tasks.core.steps import chain


def prepare(profile: str, overrides: Iterable[str] = (), force: Iterable[str] = ()) -> Run:
    """Returns a run of this profile, ready to be planned. Raises RequestError if it cannot be.

    force: the steps to make again even if nothing changed.
    """
    resolved = load(profile, tuple(overrides))
    steps = chain(resolved.settings)
    check_steps(steps, force)
    home = kospilot_home()
    return Run(
        resolved=resolved,
        home=home,
        steps=steps,
        outside=survey(steps, resolved.settings, home),
        force=tuple(force),
        ask_server=lambda: HeldModels(home).problem,
    )


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
