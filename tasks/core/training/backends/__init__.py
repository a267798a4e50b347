"""Who trains: kospilot's engine, TRL, or Unsloth; one protocol for all."""
