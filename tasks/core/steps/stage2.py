"""stage2: SFT on the synthetic strategy rows."""

from tasks.core.steps.stage import training_step

STEP = training_step("stage2", rows=("synthesize", "rows.jsonl"))
