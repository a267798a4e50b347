"""What a run shows in Prefect's UI: progress, the loss of a training at work, reports and pictures.

Links are relative: they stay in whichever of Prefect's two UIs the reader is, and at its address.
"""

import base64
import logging
import re
import time
from pathlib import Path
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.context import TaskRunContext

from tasks.core.chain.run import Run
from tasks.core.chain.status import write_status
from tasks.core.files.json_files import read_whole_objects
from tasks.core.records.artifacts import Ref
from tasks.pausing import PauseWatch
from tasks.reaching import Telling, await_server

log = logging.getLogger(__name__)
progress_log = logging.getLogger("progress")  # a terminal's alone: hundreds of lines a minute

_PROGRESS_PERIOD_S = 5.0  # between two updates of a progress artifact: each is a request
_LOSS_PERIOD_S = 60.0  # a picture has 60 KB


class Progress:
    """Tells the status file and the terminal how far a step is, and Prefect every few seconds.

    `staging` is the folder in which the step is made: a training draws its loss there.
    """

    def __init__(self, home: Path, step: str, staging: Path):
        self._home = home
        self._step = step
        self._losses = _Losses(step, staging)
        self._telling = Telling()
        self._pause = PauseWatch(self._telling)
        self._artifact: UUID | None = None
        self._updated = 0.0
        self._share = 0.0

    def __call__(self, fraction: float, text: str) -> None:
        """fraction: the share done, 0..1; text: the rest, with units."""
        write_status(self._home, self._step, fraction, text)
        progress_log.info("%s", text, extra={"step": self._step, "fraction": fraction})
        if TaskRunContext.get() is None:
            return
        self._pause.stop_if_paused()
        if fraction >= 1 or time.monotonic() - self._updated >= _PROGRESS_PERIOD_S:
            log.info("%s: %.0f %%, %s", self._step, 100 * fraction, text)
            self._updated = time.monotonic()
            if self._telling.is_worthwhile():
                self._show(fraction, text)
        if self._telling.is_worthwhile():
            with self._telling.passing():
                self._losses.show_sometimes()

    def end(self, finished: Path) -> None:
        """Shows that all is done, and the last loss; `finished` is the artifact's folder."""
        await_server()
        if self._artifact is not None and self._share < 1:
            self._show(1.0, "done")
        with self._telling.passing():
            self._losses.show_last(finished)

    def _show(self, fraction: float, text: str) -> None:
        with self._telling.passing():
            if self._artifact is None:
                key = artifact_key(f"progress-{self._step}")
                artifact = create_progress_artifact(100 * fraction, key, text)
                assert isinstance(artifact, UUID)  # it would be a coroutine in an asynchronous flow
                self._artifact = artifact
            else:
                update_progress_artifact(self._artifact, 100 * fraction, text)
            self._share = fraction


class _Losses:
    """One Markdown artifact that holds the newest picture of a training's loss."""

    def __init__(self, step: str, staging: Path):
        self._step = step
        self._staging = staging
        self._artifact: UUID | None = None
        self._shown = -_LOSS_PERIOD_S
        self._drawn = 0.0

    def show_sometimes(self) -> None:
        """Shows the newest picture, at most once a minute."""
        if time.monotonic() - self._shown >= _LOSS_PERIOD_S:
            self._show(self._staging)

    def show_last(self, finished: Path) -> None:
        """Shows the picture of the whole training where an earlier one was shown."""
        if self._artifact is not None:
            self._show(finished)

    def _show(self, folder: Path) -> None:
        picture = folder / "loss.png"
        try:
            drawn = picture.stat().st_mtime
            text = f"{_loss_sentence(folder)}\n\n{_embed(picture)}"
        except OSError:  # none is drawn yet, or the folder has just become the artifact
            return
        if drawn == self._drawn:
            return
        self._drawn, self._shown = drawn, time.monotonic()
        if self._artifact is None:
            key = artifact_key(f"loss-{self._step}")
            title = f"{self._step}: loss while it trains"
            artifact = create_markdown_artifact(text, key, title)
            assert isinstance(artifact, UUID)
            self._artifact = artifact
        else:
            _replace_text(self._artifact, text)


def _replace_text(artifact: UUID, text: str) -> None:
    with get_client(sync_client=True) as client:
        client.update_artifact(artifact, ArtifactUpdate(data=text))


def _loss_sentence(folder: Path) -> str:
    """The newest loss and how far it has come since the stage's first line."""
    lines = read_whole_objects(folder / "telemetry.jsonl")
    trained = [line for line in lines if "loss" in line]
    if not trained:
        return ""
    first, last = trained[0], trained[-1]
    sentence = (
        f"Loss {last['loss']:.3f} at step {last['step']:,} of {last['steps']:,}:"
        f" {last['loss'] - first['loss']:+.3f} since step {first['step']:,}."
    )
    held_out = [line for line in lines if "eval_loss" in line]
    if held_out:
        sentence += f" Held-out rows: {held_out[-1]['eval_loss']:.3f}."
    return sentence


def show_files(run: Run, ref: Ref, title: str) -> str:
    """Puts an artifact's reports (.md) and pictures (.png) into the UI, in one Markdown text.

    Returns a link to that text for another text in the UI; empty if there is nothing to show.
    """
    folder = run.store.path(ref.step, ref.key)
    parts = []
    for report in sorted(folder.glob("*.md")):
        if report.name != "README.md":
            parts.append(report.read_text(encoding="utf-8"))
    parts += [_embed(picture) for picture in sorted(folder.glob("*.png"))]
    if not parts:
        return ""
    key = artifact_key(f"{ref.step}-report")
    artifact = create_markdown_artifact("\n\n".join(parts), key, title)
    return f"[report](../../artifacts/artifact/{artifact})"


def _embed(picture: Path) -> str:
    data = base64.b64encode(picture.read_bytes()).decode()
    return f"![{picture.stem}](data:image/png;base64,{data})"


def artifact_key(name: str) -> str:
    """A name as Prefect wants it for what it shows: lower-case letters, digits and dashes."""
    return re.sub("[^a-z0-9-]", "-", name.lower())
