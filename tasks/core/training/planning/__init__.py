"""How a stage trains within a card's memory, and how long that takes."""
