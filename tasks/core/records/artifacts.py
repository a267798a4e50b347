"""What the stages tell one another about finished artifacts and about work in progress."""

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[float, str], None]
"""Long work calls it with the share that is done (0..1) and a short text with units, e.g.
(0.4, "40 / 98 MB").
"""


@dataclass(frozen=True)
class Ref:
    """A reference to a finished artifact: it travels through Prefect instead of data or models."""

    step: str
    key: str
    digest: str  # sha256 over the sorted (path, sha256) of its content files
