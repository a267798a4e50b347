"""market: snapshots and stock days, of the training window and of the held-out days."""

from pathlib import Path
from typing import Any

from tasks.core.chain.step import Job, Step, Surroundings
from tasks.core.errors import WorkError
from tasks.core.files.digests import digest_value
from tasks.core.files.memory import DigestMemory
from tasks.core.steps._shipped import table_digests


def _inputs(folder: Path, memory: DigestMemory) -> dict[str, str]:
    """Returns the digests of all that the artifact is made from.

    These are the folder's files, and the shipped tables that name its stocks.
    """
    from tasks.core.market.folder import described_by
    from tasks.core.market.partitions import market_files

    digests = {}
    for file in [*market_files(folder), *described_by(folder)]:
        digests[str(file.relative_to(folder))] = memory.digest_of(file)
    return digests | table_digests()


def _outside(around: Surroundings) -> dict[str, str]:
    from tasks.core.market.folder import named_folder

    folder = named_folder(around.settings.market, around.home)
    if around.settings.market.dir == "demo":
        from tasks.core.market.demo import ensure_demo_market

        ensure_demo_market(folder)
        return _inputs(folder, around.memory)
    from tasks.core.market.oddities import warn_of_oddities

    inputs = _inputs(folder, around.memory)
    warn_of_oddities(folder, digest_value(inputs), around.home)
    return inputs


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.market.artifact import build_market
    from tasks.core.market.folder import named_folder

    folder = named_folder(job.settings.market, job.home)
    metrics = build_market(folder, job.settings.market, job.out)
    if _inputs(folder, DigestMemory.of(job.home)) != job.outside:
        # What was read would get the key of other days.
        raise WorkError(f"{folder} changed while this run read it. Run the same command again.")
    return metrics


STEP = Step(
    name="market",
    build=_build,
    content=("train/*", "holdout/*"),
    settings=("market",),
    runs=lambda settings: settings.knows_strategy,
    outside=_outside,
    version=3,
)
