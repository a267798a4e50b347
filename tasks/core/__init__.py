"""What steps do, in plain Python: all of it would survive if Prefect vanished."""
