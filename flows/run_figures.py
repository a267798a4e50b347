"""The figures of runs for Prometheus: how long each step took, tokens/s, memory, grades.

A run that ends writes metrics/kospilot-PROFILE.prom in KOSPILOT_HOME, or in the folder that
KOSPILOT_METRICS names, which node_exporter's textfile collector may read. Prefect's server reads
that folder too, and exports it beside its own figures at /api/metrics.
"""

import contextlib
import logging
import os
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from tasks.core.chain.figures import Figures, figures_of
from tasks.core.chain.run import Run
from tasks.core.files.atomic import replacing

log = logging.getLogger("tasks.chain")

_VARIABLE = "KOSPILOT_METRICS"
_OUTCOMES = ("ran", "skipped", "failed")
_GRADED = "evaluate"  # the step of the figures that name none
_GIB = 1 << 30
_READABLE = 0o644  # node_exporter is another user
_LARGEST = 1 << 20  # bytes of a file that is exported; ours have some thousand


@dataclass(frozen=True)
class Done:
    """A step that a run has done with."""

    step: str
    outcome: str  # ran, skipped or failed
    seconds: float
    key: str  # of its artifact; empty if it failed


@dataclass(frozen=True)
class _Ended:
    """When a run began, in seconds, and how it ended."""

    started: float
    succeeded: bool


def figures_folder(home: Path) -> Path:
    """Where figures are written, and read by the server."""
    named = os.environ.get(_VARIABLE)
    # The server stands elsewhere than who named the folder.
    return Path(os.environ.get("KOSPILOT_FOLDER", "."), named) if named else home / "metrics"


def _file(home: Path, name: str) -> Path:
    return figures_folder(home) / f"kospilot-{name}.prom"


@contextlib.contextmanager
def figures_kept(run: Run, done: Sequence[Done], asked: Collection[str]) -> Iterator[None]:
    """Writes the figures of what is done when this block has ended, well or with an error.

    asked: the steps that the run is for. What an earlier run told of the profile's other steps
    stays. A run that is paused or stopped has not ended: the figures of the one before it stay.
    """
    started = time.time()
    try:
        yield
    except Exception:
        _write(run, done, asked, _Ended(started, succeeded=False))
        raise
    _write(run, done, asked, _Ended(started, succeeded=True))


def tell_unplanned(home: Path, profile: str) -> None:
    """Says that the profile's last run failed before it had any steps. What the run before it came
    to stays.
    """
    earlier = _read(_file(home, profile))
    registry = CollectorRegistry()
    gauges = _Gauges(registry, profile)
    gauges.tell_run(time.time(), succeeded=False)
    registry.register(_Kept([one for one in earlier if not gauges.told(one.name)]))
    _replace(home, profile, registry)


def _write(run: Run, done: Sequence[Done], asked: Collection[str], ended: _Ended) -> None:
    registry = CollectorRegistry()
    gauges = _Gauges(registry, run.resolved.name, run.part)
    gauges.tell_run(ended.started, ended.succeeded)
    name = run.history.replace(" ", "-")
    for metric in _read(_file(run.home, name)):
        gauges.tell_again(metric, asked)
    for one in done:
        gauges.tell_step(one)
        manifest = run.store.manifest(one.step, one.key) if one.key else None
        if manifest:
            gauges.tell_artifact(one.step, figures_of(manifest.metrics))
    _replace(run.home, name, registry)


def _replace(home: Path, name: str, registry: CollectorRegistry) -> None:
    """Writes a file of figures. No run fails because that cannot be done."""
    folder = figures_folder(home)
    if os.environ.get(_VARIABLE) and not folder.is_dir():
        log.warning("%s=%s is no folder: this run's figures are not written.", _VARIABLE, folder)
        return
    try:
        with replacing(_file(home, name)) as neighbour:
            neighbour.write_bytes(generate_latest(registry))
            neighbour.chmod(_READABLE)
    except OSError as error:
        log.warning("This run's figures are not written: %s", error)


class _Gauges:
    """The metrics of one run; each is labelled with its profile."""

    def __init__(self, registry: CollectorRegistry, profile: str, part: str = ""):
        self._registry = registry
        self._labels = {"profile": profile, "part": part}
        self._known: dict[str, Gauge] = {}

    def told(self, name: str) -> bool:
        """Whether a metric of this full name has been told."""
        return name.removeprefix("kospilot_") in self._known

    def tell_run(self, started: float, succeeded: bool) -> None:
        now = time.time()
        self._set("run_succeeded", "Whether the last run ended well.", succeeded)
        self._set("run_seconds", "How long the last run took.", now - started)
        self._set("run_finished_timestamp_seconds", "When the last run ended.", now)

    def tell_step(self, done: Done) -> None:
        step = done.step
        told = "How long the last run took for a step, in which it may have found the artifact."
        self._set("step_seconds", told, done.seconds, step=step)
        for outcome in _OUTCOMES:
            told = "1 for what the last run did with a step: ran, skipped or failed."
            is_it = outcome == done.outcome
            self._set("step_outcome", told, is_it, step=step, outcome=outcome)

    def tell_artifact(self, step: str, figures: Figures) -> None:
        """What the step's artifact came to, whether this run made it or an earlier one."""
        told = "Speed of a training."
        self._set("training_tokens_per_second", told, figures.tokens_per_s, step=step)
        told = "The most memory that a training took: the GPU's, or the process's without one."
        peak = None if figures.peak_memory_gib is None else figures.peak_memory_gib * _GIB
        self._set("training_peak_memory_bytes", told, peak, step=step)
        told = "Loss on held-out rows after a training."
        self._set("training_held_out_loss", told, figures.held_out_loss, step=step)
        told = "Mean grade of the release's answers, 0 to 1."
        self._set("evaluation_mean_grade", told, figures.grade)
        told = "Share of the release's answers that are right in every part."
        self._set("evaluation_fully_right_ratio", told, figures.fully_right)

    def tell_again(self, metric: Metric, without: Collection[str]) -> None:
        """What an earlier run told of its steps, but for some of them."""
        name = metric.name.removeprefix("kospilot_")
        of_all = _GRADED if name.startswith("evaluation_") else ""
        for sample in metric.samples:
            step = sample.labels.get("step", of_all)
            if step and step not in without:
                own = {key: text for key, text in sample.labels.items() if key not in self._labels}
                self._set(name, metric.documentation, sample.value, **own)

    def _set(self, name: str, told: str, value: float | None, **labels: str) -> None:
        if value is None:
            return
        every = {**self._labels, **labels}
        if name not in self._known:
            self._known[name] = Gauge(f"kospilot_{name}", told, every, registry=self._registry)
        self._known[name].labels(**every).set(value)


class _Kept(Collector):
    """Metrics as they were written before."""

    def __init__(self, metrics: Sequence[Metric]):
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class WrittenFigures(Collector):
    """Exports what runs have written, for the server's /api/metrics."""

    def __init__(self, home: Path):
        self._home = home

    def collect(self) -> Iterable[Metric]:
        """Returns the metrics of all files in the folder; a file that is damaged is left out."""
        metrics: dict[str, Metric] = {}
        for file in sorted(figures_folder(self._home).glob("kospilot-*.prom")):
            for metric in _read(file):
                known = metrics.setdefault(metric.name, metric)
                if known is not metric:
                    known.samples += metric.samples
        return metrics.values()


def _read(file: Path) -> list[Metric]:
    if not file.is_file():  # a fifo would never end
        return []
    try:
        with file.open(encoding="utf-8") as opened:
            return list(text_string_to_metric_families(opened.read(_LARGEST)))
    except (OSError, ValueError):
        return []
