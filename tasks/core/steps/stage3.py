"""stage3: DPO on the preference pairs, against the policy that it starts from."""

from tasks.core.chain.step import Step
from tasks.core.steps._contents import ADAPTER
from tasks.core.steps._training import earlier_adapter, train
from tasks.core.training.spec import STAGE_VERSION

STEP = Step(
    name="stage3",
    build=train,
    content=ADAPTER,
    reads={"download": ("base/*",), "pairs": ("pairs.jsonl",)},
    reads_also=lambda settings: earlier_adapter("stage3", settings),
    settings=("training", "stage3"),
    consults=("release.name",),  # the models of this name are unloaded while the stage trains
    runs=lambda settings: "stage3" not in settings.stages.skip,
    version=STAGE_VERSION,
    resumes=True,
    pool="gpu",
    disk_of_base=0.15,  # with three checkpoints, a 7B stage takes 2 GB beside its 15 GB base
    report="stage3: loss over the optimizer steps",
)
