"""Colours that the pictures have in common, so that they look like one set."""

INK = "#1f2933"
"""Titles and labels."""

FAINT = "#616e7c"
"""Notes and thin lines."""

GRID = "#e4e7eb"

SERIES = ("#1261a0", "#e08e0b", "#2d8a5f", "#b0413e")
"""Blue, orange, green and red, told apart side by side."""
