"""What a step of the chain is: one object that says all about one kind of artifact.

The steps themselves lie in tasks/core/steps, a file each. Planning, making and keeping artifacts
knows none of them.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tasks.core.chain.manifest import Manifest
from tasks.core.chain.store import Store
from tasks.core.files.memory import DigestMemory
from tasks.core.records.artifacts import Progress
from tasks.core.settings.tree import Settings


@dataclass(frozen=True)
class Job:
    """One build of one step's artifact."""

    step: str
    key: str

    settings: Settings
    """Only what the step declares; reading another setting raises UndeclaredSetting."""

    reads: "Reads"
    """The upstream steps that this build may read, and the files of theirs."""

    folder: Callable[[str], Path]
    """Returns the folder of an upstream step's artifact; expended content is rebuilt first."""

    out: Path
    """The folder to write into; an interrupted attempt's files are in it if the step resumes."""

    outside: dict[str, str]
    """What the step found outside the store when the run began, as its key has it."""

    locked: Callable[[str, str], AbstractContextManager[None]]
    """Lets one holder of a name in at a time, on this store; the second argument says why."""

    progress: Progress
    home: Path


Reads = dict[str, tuple[str, ...]]
"""Upstream step -> the files of its content that are read, as globs."""

Build = Callable[[Job], dict[str, Any]]
"""Writes a step's files into job.out and returns the metrics for the artifact's manifest."""


@dataclass(frozen=True)
class Surroundings:
    """What a step may look at to say what its content depends on outside the store."""

    settings: Settings
    home: Path
    memory: DigestMemory


@dataclass(frozen=True)
class ServedModel:
    """A model that the model server must hold for an artifact to be still true."""

    tag: str
    digest: str


@dataclass(frozen=True)
class Step:
    """One kind of artifact: what it is made from, how it is made, and what it costs.

    An artifact's key is made of exactly the step's name, `reads`, `settings`, `outside` and
    `version`. Raise the version if the code would now make other content.
    """

    name: str

    build: Build

    content: tuple[str, ...]
    """The files that count, as globs; others (reports, curves, logs) lie beside them."""

    reads: Reads = field(default_factory=dict)

    reads_also: Callable[[Settings], Reads] | None = None
    """What else is read, if that depends on the settings."""

    settings: tuple[str, ...] = ()
    """The settings that shape the content, as `section` or `section.field`."""

    consults: tuple[str, ...] = ()
    """Settings that the build may look at too, and that are not in the key.

    They change how the work is done or what lies beside the content, or the key has their effect
    from elsewhere.
    """

    outside: Callable[[Surroundings], dict[str, str]] | None = None
    """What the content depends on outside the store: a file or a fact -> its digest or identity."""

    runs: Callable[[Settings], bool] | None = None
    """Whether the step runs with these settings; a step without this question always does."""

    version: int = 1

    expendable: bool = False
    """Content may be removed once the release passed; `build` makes the same bytes on demand."""

    resumes: bool = False
    """An interrupted attempt's folder is continued by the next one, not discarded."""

    pool: Literal["cpu", "gpu"] = "cpu"
    """The kind of machine that the step is for, if a team has both: steps that train, or that ask a
    model many questions, want a GPU.
    """

    asks_server: bool = False
    """The build asks the model server, which must therefore answer when a run begins."""

    served: Callable[[Store, Manifest], ServedModel | None] | None = None
    """The model that the server must hold for an artifact to be reused."""

    after: Callable[[Settings, Store, Manifest], None] | None = None
    """What remains to be done each time that a run has the artifact, made or found."""

    rehearses: str = ""
    """The later step whose failure this one finds first. Nothing reads such a rehearsal: it runs in
    a run that gets to that step and first makes one of those that it `protects`.
    """

    protects: tuple[str, ...] = ()
    """Steps whose work would be in vain if what is rehearsed failed after them."""

    retries_after_s: tuple[float, ...] = ()
    """Pauses before another attempt if the work failed; a wrong request is not tried again."""

    disk_of_base: float = 0.0
    """Disk that the step fills, in sizes of the 16-bit base model."""

    disk_also: Callable[[Settings], float] | None = None
    """What else it fills in sizes of the base model, if that depends on the settings."""

    disk_gib: float = 0.0
    """Disk that the step fills whatever the base model is, in GiB."""

    report: str = ""
    """Title under which the artifact's reports and pictures are shown in the UI."""

    @property
    def readable_settings(self) -> tuple[str, ...]:
        """All settings that the build may read: reading another one is an error."""
        return self.settings + self.consults


def resolve(steps: Sequence[Step], settings: Settings) -> dict[str, Step]:
    """The steps that run with these settings, each after all that it reads.

    A step takes the earliest place that allows this: pairs are made before any training, and after
    Stage 2 if that model's own wrong replies are among them.
    """
    waiting = [_complete(step, settings) for step in steps if _runs(step, settings)]
    ordered: dict[str, Step] = {}
    while waiting:
        ready = [step for step in waiting if step.reads.keys() <= ordered.keys()]
        assert ready, f"{waiting[0].name} reads what no step makes, or reads in a circle"
        ordered[ready[0].name] = ready[0]
        waiting.remove(ready[0])
    return ordered


def _runs(step: Step, settings: Settings) -> bool:
    return step.runs is None or step.runs(settings)


def _complete(step: Step, settings: Settings) -> Step:
    """The step with all that depends on the settings."""
    reads = step.reads_also(settings) if step.reads_also else {}
    disk = step.disk_also(settings) if step.disk_also else 0.0
    return replace(step, reads=step.reads | reads, disk_of_base=step.disk_of_base + disk)
