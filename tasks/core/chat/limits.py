"""What a chat template may take for one conversation; those of real models take a thousandth."""

SECONDS = 5.0
"""Of computing, not by the clock: a busy machine stops no template."""

MEMORY_BYTES = 1_000_000_000

LONGEST_TEXT = 50_000_000  # characters
