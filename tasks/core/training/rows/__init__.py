"""A stage's rows: read, turned into tokens, selected, dealt to micro-batches."""
