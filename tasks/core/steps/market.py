"""market: snapshots and stock days, of the training window and of the held-out days."""

from pathlib import Path
from typing import Any

from tasks.core.chain.step import Job, Step, Surroundings
from tasks.core.errors import WorkError
from tasks.core.files.memory import MEMORY_FILE, DigestMemory
from tasks.core.settings.tree import Market
from tasks.core.steps.shipped import table_digests


def market_folder(market: Market, home: Path) -> Path:
    """The folder of daily parquet that the settings name; the demo's lies under KOSPILOT_HOME."""
    if market.dir == "demo":
        return home / "market" / "demo"
    return Path(market.dir).expanduser()


def market_inputs(folder: Path, memory: DigestMemory) -> dict[str, str]:
    """The digests of all that the artifact is made from.

    These are the folder's files, and the shipped tables that name its stocks.
    """
    from tasks.core.market.folder import described_by, market_files

    digests = {}
    for file in [*market_files(folder), *described_by(folder)]:
        digests[str(file.relative_to(folder))] = memory.digest_of(file)
    return digests | table_digests()


def _outside(around: Surroundings) -> dict[str, str]:
    folder = market_folder(around.settings.market, around.home)
    if around.settings.market.dir == "demo":
        from tasks.core.market.demo import ensure_demo_market

        ensure_demo_market(folder)
    return market_inputs(folder, around.memory)


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.market.artifact import build_market

    folder = market_folder(job.settings.market, job.home)
    metrics = build_market(folder, job.settings.market, job.out)
    if market_inputs(folder, DigestMemory(job.store.root / MEMORY_FILE)) != job.outside:
        # What was read would get the key of other days.
        raise WorkError(f"{folder} changed while this run read it. Run the same command again.")
    return metrics


STEP = Step(
    name="market",
    build=_build,
    content=("train/*", "holdout/*"),
    settings=("market",),
    outside=_outside,
    version=2,
)
