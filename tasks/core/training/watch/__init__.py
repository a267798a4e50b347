"""What a training tells while it runs: telemetry, health, checkpoints, figures."""
