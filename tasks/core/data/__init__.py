"""Stage 1's data: the base model and five sources, cleaned, sampled, reported."""
