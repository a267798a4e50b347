"""How a stage's processes start, and start again when a card is full."""
