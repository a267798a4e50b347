"""Conversations as a model reads them: text, made by its own chat template."""
