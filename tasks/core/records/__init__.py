"""What stages hand to one another: artifacts, market days, the facts of a question."""
