"""One run: its settings, its steps, and what the outside world looked like when it began."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tasks.core.chain.plan import Outside, Planned, ServerProblem, World, plan
from tasks.core.chain.step import Step
from tasks.core.chain.store import Store
from tasks.core.settings.profiles import Resolved
from tasks.core.settings.tree import Settings


@dataclass(frozen=True)
class Run:
    """What every step of a run is given. Made by preflight/prepare.py."""

    resolved: Resolved
    home: Path
    steps: dict[str, Step]
    outside: Outside
    force: tuple[str, ...]
    ask_server: Callable[[], ServerProblem]

    part: str = ""
    """What this is of a profile's run that has several parts, e.g. `stage1`; empty for the last."""

    @property
    def history(self) -> str:
        """Whose artifacts these are: a new one is compared with those of the same history."""
        return f"{self.resolved.profile} {self.part}".strip()

    @property
    def settings(self) -> Settings:
        """The resolved settings."""
        return self.resolved.settings

    @cached_property
    def store(self) -> Store:
        """The artifacts under KOSPILOT_HOME."""
        return Store(self.home / "artifacts")

    def world(self) -> World:
        """All that a plan looks at, with a model server that is asked anew."""
        return World(
            profile=self.history,
            settings=self.settings,
            steps=self.steps,
            outside=self.outside,
            store=self.store,
            server_problem=self.ask_server(),
            force=self.force,
        )

    def plan(self, targets: Iterable[str]) -> list[Planned]:
        """What would run for these steps, and why."""
        return plan(self.world(), tuple(targets))
