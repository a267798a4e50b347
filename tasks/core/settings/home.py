"""KOSPILOT_HOME: the folder under which everything lies that kospilot makes and keeps."""

import os
from pathlib import Path

from tasks.core.errors import RequestError


def kospilot_home() -> Path:
    """The folder of artifacts, tools, markets, servers and logs; ~/.kospilot by default.

    Raises RequestError if there is no such folder for this user.
    """
    named = os.environ.get("KOSPILOT_HOME") or "~/.kospilot"
    try:
        return Path(named).expanduser().resolve()
    except RuntimeError:  # in containers, a user may have neither HOME nor an entry
        raise RequestError(
            f"{named} names no folder, because this user has no home directory. Set KOSPILOT_HOME"
            " to the path of a folder."
        ) from None
