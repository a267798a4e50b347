"""Files that appear whole or not at all, JSON and JSON Lines, digests."""
