"""stage3: DPO on the preference pairs, against the policy that it starts from."""

from tasks.core.steps.stage import training_step

STEP = training_step("stage3", rows=("pairs", "pairs.jsonl"))
