"""How any step is planned, made and kept: the store, plans, runs, locks, the status."""
