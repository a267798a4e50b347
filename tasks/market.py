"""market, as Prefect sees it."""

from typing import Any

from prefect import task

from tasks.artifacts import cached, make
from tasks.core.chain.produce import Job
from tasks.core.chain.run import Run
from tasks.core.market.snapshots import build_market
from tasks.core.records.artifacts import Ref


@task(**cached("market"))
def market(run: Run, reads: dict[str, Ref]) -> Ref:
    """Snapshots and stock days of the training window and of the held-out days."""
    return make(run, "market", reads, _market)


def _market(job: Job) -> dict[str, Any]:
    found = build_market(job.run.market_folder, job.run.settings.market, job.out)
    job.run.check_market()
    return found
