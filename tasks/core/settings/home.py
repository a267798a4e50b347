"""KOSPILOT_HOME: the folder under which everything lies that kospilot makes and keeps."""

import os
from pathlib import Path


def kospilot_home() -> Path:
    """The folder of artifacts, tools, markets, servers and logs; ~/.kospilot by default."""
    named = os.environ.get("KOSPILOT_HOME")
    folder = Path(named) if named else Path.home() / ".kospilot"
    return folder.expanduser().resolve()
