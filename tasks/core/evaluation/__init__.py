"""The frozen questions, what models answer, and what the answers are worth."""
