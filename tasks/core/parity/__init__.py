"""Proof, hop by hop, that what was trained is what answers."""
