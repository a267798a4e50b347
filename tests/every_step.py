"""The settings that give the demo the steps which it leaves out for time."""

EVERY_STEP = ("release.quantization=Q4_K_M", "evaluation.baseline=true")
"""An importance matrix, and the untrained base beside the release."""
