"""How the texts of an answer are judged: read as a strict expert reads, and not for our wording."""
