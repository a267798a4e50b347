"""Stage 2's rows and Stage 3's pairs, and the proof that each of them is true."""
