"""The folder of a finished stage: what is left out of it, and its figures for the manifest."""

from pathlib import Path
from typing import Any

from tasks.core.files.json_files import read_json

UNFINISHED = ("checkpoints", "tokens")
"""Folders of a stage that is not done: the checkpoints it goes on from, and its rows as tokens."""


def figures(folder: Path) -> dict[str, Any]:
    """Returns an adapter's metrics, and the figures of its checks under `checks`."""
    metrics: dict[str, Any] = read_json(folder / "metrics.json")
    checks = read_json(folder / "checks.json")
    return metrics | {"checks": {name: check["value"] for name, check in checks.items()}}
