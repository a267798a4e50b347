"""What is in rows: figures, tables and pictures."""
