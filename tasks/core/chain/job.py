"""What a step's build is given: the declared settings, the inputs, a folder to write into."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.core.chain.store import Store
from tasks.core.records.artifacts import Progress, Ref
from tasks.core.settings.tree import Settings


@dataclass(frozen=True)
class Job:
    """One build of one step's artifact."""

    step: str
    key: str

    settings: Settings
    """Only what the step declares; reading another setting raises UndeclaredSetting."""

    reads: Mapping[str, Ref]
    """The upstream artifacts that this build may read, by step."""

    folder: Callable[[str], Path]
    """The folder of an upstream step's artifact. Content that was expended is rebuilt first."""

    out: Path
    """The folder to write into; an interrupted attempt's files are in it if the step resumes."""

    outside: dict[str, str]
    """What the step found outside the store when the run began, as its key has it."""

    progress: Progress
    home: Path
    store: Store
