"""The model that is trained: a base, its adapter, their optimizer."""
