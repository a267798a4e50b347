"""stage1: SFT on the five finance data sets."""

from tasks.core.chain.step import Step
from tasks.core.steps._contents import ADAPTER
from tasks.core.steps._training import train
from tasks.core.training.spec import STAGE_VERSION

STEP = Step(
    name="stage1",
    build=train,
    content=ADAPTER,
    reads={"download": ("base/*",), "normalize": ("rows.parquet",)},
    settings=("training", "stage1"),
    consults=("release.name",),  # the models of this name are unloaded while the stage trains
    runs=lambda settings: "stage1" not in settings.stages.skip,
    version=STAGE_VERSION,
    resumes=True,
    disk_of_base=0.15,  # with three checkpoints, a 7B stage takes 2 GB beside its 15 GB base
    report="stage1: loss over the optimizer steps",
)
