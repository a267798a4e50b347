"""What the stages tell one another about finished artifacts and about work in progress."""

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[float, str], None]
"""Long work calls it with the share that is done (0..1) and a short text with units, e.g.
(0.4, "40 / 98 MB").
"""


def stretch_of(progress: Progress, start: float, width: float) -> Progress:
    """Returns a progress for one part: its 0 to 1 is `start` to `start + width` of the whole."""

    def report(share: float, text: str) -> None:
        progress(start + width * share, text)

    return report


def no_progress(share: float, text: str) -> None:
    """The progress of work that takes a moment: nobody is told."""


@dataclass(frozen=True)
class Ref:
    """A reference to a finished artifact: it travels through Prefect instead of data or models."""

    step: str
    key: str
    digest: str  # sha256 over the sorted (path, sha256) of its content files
