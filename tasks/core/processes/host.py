"""Which machine this is, for machines that share a KOSPILOT_HOME.

KOSPILOT_HOST names it, if two have the same name, or if containers of one machine have a GPU each.
"""

import os
import re
import socket
from pathlib import Path

_VARIABLE = "KOSPILOT_HOST"
_BOOT = Path("/proc/sys/kernel/random/boot_id")  # one for all containers of a machine
_ODD = re.compile("[^A-Za-z0-9.-]+")


def host_name() -> str:
    """What people call this machine or container; fit for a file's name."""
    return _plain(os.environ.get(_VARIABLE) or socket.gethostname())


def accelerator() -> str:
    """The name of the lock on this machine's accelerator, which its containers share."""
    return f"accelerator-{_machine()}"


def _machine() -> str:
    """What this machine's containers have in common, and no other machine has."""
    if os.environ.get(_VARIABLE):
        return host_name()
    try:
        return _plain(_BOOT.read_text(encoding="ascii").strip())
    except (OSError, ValueError):  # another system than Linux
        return host_name()


def _plain(name: str) -> str:
    return _ODD.sub("-", name)[:60] or "host"
