"""What a stage trains with: this machine, several cards, cards that are not here."""
