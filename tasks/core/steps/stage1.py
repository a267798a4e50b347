"""stage1: SFT on the five finance data sets, or the adapter that ships with kospilot."""

import logging
from typing import Any

from tasks.core.chain.step import Job, Reads, Step, Surroundings
from tasks.core.settings.tree import Settings
from tasks.core.steps._contents import ADAPTER
from tasks.core.steps._training import train
from tasks.core.training.shipped import shipped_digest, take_shipped
from tasks.core.training.spec import STAGE_VERSION

log = logging.getLogger(__name__)


def _reads_also(settings: Settings) -> Reads:
    return {} if settings.ships_stage1 else {"normalize": ("rows.parquet",)}


def _outside(around: Surroundings) -> dict[str, str]:
    return {"shipped adapter": shipped_digest()} if around.settings.ships_stage1 else {}


def _build(job: Job) -> dict[str, Any]:
    if not job.outside:
        return train(job)
    metrics = take_shipped(job.folder("download") / "base", job.out)
    log.info(
        "Stage 1 is the adapter that ships with kospilot, trained %s. stages.stage1=train trains it"
        " here.",
        metrics["trained"],
    )
    return metrics


STEP = Step(
    name="stage1",
    build=_build,
    content=ADAPTER,
    reads={"download": ("base/*",)},
    reads_also=_reads_also,
    settings=("training", "stage1"),
    consults=("release.name",),  # the models of this name are unloaded while the stage trains
    outside=_outside,
    runs=lambda settings: "stage1" not in settings.stages.skip,
    version=STAGE_VERSION,
    resumes=True,
    pool="gpu",
    disk_of_base=0.15,  # with three checkpoints, a 7B stage takes 2 GB beside its 15 GB base
    report="stage1: loss over the optimizer steps",
)
