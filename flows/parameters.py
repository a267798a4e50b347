"""What every flow takes: a profile, overrides, and steps to force; shown as a form in the UI."""

NONE: list[str] = []
"""The default of overrides and force. Nobody changes it."""
