"""Whether the weights that kospilot's own model servers hold are still what was registered.

Reads KOSPILOT_HOME/serving and KOSPILOT_HOME/ollama, whose files of weights are named by their
digests.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Weights:
    """A model, or a file of weights, and what is wrong with it; None if it is intact."""

    name: str
    problem: str | None


def verify_weights(home: Path) -> list[Weights]:
    return []
