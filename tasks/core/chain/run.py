"""One run: its settings, the folder everything lies under, and what the outside world looks like
now.

Above the stages: the only place in core that asks several of them. Reads KOSPILOT_HOME (default
~/.kospilot).
"""

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from tasks.core.chain.housekeeping import rolled_back
from tasks.core.chain.plan import Live, Outside, Planned, World, plan
from tasks.core.chain.steps import chain
from tasks.core.chain.store import Manifest, Store
from tasks.core.data.download import fingerprints
from tasks.core.errors import RequestError, WorkError, did_you_mean
from tasks.core.files.digests import DigestMemory, digest_file, digest_value
from tasks.core.kinds.base import system_prompt
from tasks.core.market.demo import ensure_demo_market
from tasks.core.market.files import described_by, market_files
from tasks.core.serving.servers import live_reason, server_name
from tasks.core.settings.profiles import Resolved, load
from tasks.core.settings.tree import Market, Settings
from tasks.core.strategy import universe


def kospilot_home() -> Path:
    """The folder of artifacts, tools, markets, servers and logs."""
    return Path(os.environ.get("KOSPILOT_HOME") or Path.home() / ".kospilot").expanduser().resolve()


@dataclass(frozen=True)
class Run:
    """What every step of a run is given."""

    resolved: Resolved
    home: Path
    outside: Outside
    force: tuple[str, ...]

    @property
    def settings(self) -> Settings:
        return self.resolved.settings

    @cached_property
    def store(self) -> Store:
        return Store(self.home / "artifacts")

    @property
    def market_folder(self) -> Path:
        return market_folder(self.settings.market, self.home)

    def check_market(self) -> None:
        """Raises WorkError if the market changed since the run began: what was read would get the
        key of other days.
        """
        if market_inputs(self.market_folder, _memory(self.home)) != self.outside["market"]:
            raise WorkError(
                f"{self.market_folder} changed while this run read it. Run the same command again."
            )

    def world(self) -> World:
        return World(
            self.resolved.profile, self.settings, self.outside, self.store, self._live(), self.force
        )

    def _live(self) -> Live:
        """Asks the model server; a promotion that its user rolled back stays so until another model
        comes.
        """
        ask = live_reason(self.home)

        def reason(manifest: Manifest) -> str | None:
            return None if rolled_back(self.store, manifest) else ask(manifest)

        return reason

    def plan(self, targets: Iterable[str]) -> list[Planned]:
        return plan(self.world(), tuple(targets))


def prepare(profile: str, overrides: Iterable[str] = (), force: Iterable[str] = ()) -> Run:
    """Resolves the settings and looks at the outside world. Raises RequestError before anything was
    changed.
    """
    resolved = load(profile, tuple(overrides))
    check_steps(resolved.settings, force)
    home = kospilot_home()
    return Run(resolved, home, survey(resolved.settings, home), tuple(force))


def check_steps(settings: Settings, names: Iterable[str]) -> None:
    """Refuses a step that the chain does not have, with the nearest one it has."""
    steps = chain(settings)
    unknown = [name for name in names if name not in steps]
    if unknown:
        raise RequestError(
            f"There is no step {unknown[0]!r}.{did_you_mean(unknown[0], steps)} Steps: {', '.join(steps)}."
        )


def market_folder(market: Market, home: Path) -> Path:
    return home / "market" / "demo" if market.dir == "demo" else Path(market.dir).expanduser()


def survey(settings: Settings, home: Path) -> Outside:
    """Digests and identities of all that the chain reads from outside the store. Generates the demo
    market if asked.
    """
    memory, tables = _memory(home), shipped_tables()
    folder = market_folder(settings.market, home)
    if settings.market.dir == "demo":
        ensure_demo_market(folder)
    prompts = digest_value([system_prompt("ko"), system_prompt("en")])
    outside = {
        "download": fingerprints(
            settings.model, settings.data, home / "downloads", memory.digest_of
        ),
        "normalize": {"strategy prompt": prompts},
        "market": market_inputs(folder, memory),
        "synthesize": {"strategy prompt": prompts, **tables},
        "register": {"server": server_name(home), "strategy prompt": prompts},
        "evaluate": {"strategy prompt": prompts, **tables},
        "promote": {"server": server_name(home)},
    }
    with contextlib.suppress(
        OSError
    ):  # a full disk costs a second reading of the files, not the plan
        memory.save()
    return outside


def market_inputs(folder: Path, memory: DigestMemory) -> dict[str, str]:
    """Digests of all that the market artifact is made from: the folder's files, and the tables that
    name its stocks.
    """
    files = [*market_files(folder), *described_by(folder)]
    return {
        str(file.relative_to(folder)): memory.digest_of(file) for file in files
    } | shipped_tables()


@cache
def shipped_tables() -> dict[str, str]:
    """Digests of the tables beside universe.py: stocks, names and ranges that rows quote and
    graders judge by.
    """
    return {
        table.name: digest_file(table)
        for table in sorted((Path(universe.__file__).parent / "tables").glob("*.csv"))
    }


def _memory(home: Path) -> DigestMemory:
    return DigestMemory(home / "artifacts" / ".digests.json")
