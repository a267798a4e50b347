"""The settings tree with its defaults, the profiles, and KOSPILOT_HOME."""
