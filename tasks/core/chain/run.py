"""One run: its settings, its steps, and what the outside world looked like when it began."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tasks.core.chain.manifest import Recipe
from tasks.core.chain.plan import (
    Outside,
    Planned,
    ServerProblem,
    World,
    plan,
    recipe_of,
    why_run,
)
from tasks.core.chain.step import Step
from tasks.core.chain.store import Store
from tasks.core.records.artifacts import Ref
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
        return f"{self.resolved.name} {self.part}".strip()

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

    def recipe(self, name: str, reads: Mapping[str, Ref]) -> Recipe:
        """What decides a step's content, given the artifacts that it reads."""
        return recipe_of(self.steps[name], self.world(), reads)

    def why(self, name: str, reads: Mapping[str, Ref]) -> str | None:
        """Why a step that reads these artifacts must run; None if its own is there and intact."""
        world = self.world()
        return why_run(recipe_of(self.steps[name], world, reads), world)
