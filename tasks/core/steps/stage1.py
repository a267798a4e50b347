"""stage1: SFT on the five finance data sets."""

from tasks.core.steps.stage import training_step

STEP = training_step("stage1", rows=("normalize", "rows.parquet"))
