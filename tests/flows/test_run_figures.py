"""Runs' figures reach Prometheus: well-formed, whole, and no trouble to a run or to the server."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from prefect.exceptions import Pause
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from flows.run_figures import Done, WrittenFigures, figures_kept, tell_unplanned
from tasks.core.chain.store import Store
from tests.chain.stores import publish, recipe

TRAINED = {"tokens_per_s": 224.0, "peak_memory_gib": 1.5, "eval_loss": 0.0366, "warnings": []}
GRADED = {"released": {"grade": 0.8916, "fully_right": 0.25}, "base": {"grade": 0.1}}


@dataclass(frozen=True)
class OneRun:
    """What the figures are told of a run."""

    home: Path
    profile: str = "demo"
    part: str = ""

    @property
    def resolved(self):
        return SimpleNamespace(name=self.profile)

    @property
    def history(self):
        return f"{self.profile} {self.part}".strip()

    @property
    def store(self):
        return Store(self.home / "artifacts")

    def made(self, step, metrics):
        return publish(self.store, recipe(step), {"a.bin": step}, metrics=metrics).key


EVERY = ("stage2", "stage3", "quantize", "evaluate", "promote")


def keep(run, *done, error=None, asked=EVERY):
    with figures_kept(run, done, asked):
        if error:
            raise error


def read(text):
    """Name and labels -> value; every metric is told once, with its meaning."""
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(set(names)) == len(names)
    assert all(family.documentation for family in families)
    samples = {}
    for sample in (sample for family in families for sample in family.samples):
        labels = {label: value for label, value in sample.labels.items() if value}
        key = (sample.name.removeprefix("kospilot_"), *sorted(labels.items()))
        assert key not in samples
        samples[key] = sample.value
    return samples


def file_of(home, name="kospilot-demo.prom"):
    return (home / "metrics" / name).read_text()


def test_a_run_of_some_steps_leaves_what_is_told_of_the_others(tmp_path):
    run = OneRun(tmp_path)
    trained, graded = run.made("stage2", TRAINED), run.made("evaluate", GRADED)
    keep(run, Done("stage2", "ran", 62.5, trained), Done("evaluate", "ran", 9.0, graded))
    before = read(file_of(tmp_path))
    keep(run, Done("stage2", "skipped", 0.25, trained), asked=["stage2"])
    after = read(file_of(tmp_path))
    step, profile = ("step", "stage2"), ("profile", "demo")
    assert after["step_seconds", profile, step] == 0.25
    assert after["step_outcome", ("outcome", "ran"), profile, step] == 0
    assert after.keys() == before.keys()
    others = [name for name in before if step not in name and not name[0].startswith("run_")]
    assert ("evaluation_mean_grade", profile) in others
    assert {name: after[name] for name in others} == {name: before[name] for name in others}
    keep(run, Done("stage2", "skipped", 0.25, trained))
    assert ("evaluation_mean_grade", profile) not in read(file_of(tmp_path))


def test_a_run_that_ends_well(tmp_path):
    run = OneRun(tmp_path)
    trained, graded = run.made("stage2", TRAINED), run.made("evaluate", GRADED)
    keep(run, Done("stage2", "ran", 62.5, trained), Done("evaluate", "skipped", 0.1, graded))
    told = read(file_of(tmp_path))
    profile = ("profile", "demo")
    assert told["run_succeeded", profile] == 1
    assert told["step_seconds", profile, ("step", "stage2")] == 62.5
    outcomes = {
        (step, outcome): told["step_outcome", ("outcome", outcome), profile, ("step", step)]
        for step in ("stage2", "evaluate")
        for outcome in ("ran", "skipped", "failed")
    }
    assert [key for key, value in outcomes.items() if value] == [
        ("stage2", "ran"),
        ("evaluate", "skipped"),
    ]
    assert told["training_tokens_per_second", profile, ("step", "stage2")] == 224
    assert told["training_peak_memory_bytes", profile, ("step", "stage2")] == 1.5 * 2**30
    assert told["training_held_out_loss", profile, ("step", "stage2")] == 0.0366
    assert told["evaluation_mean_grade", profile] == 0.8916
    assert told["evaluation_fully_right_ratio", profile] == 0.25


def test_a_run_that_fails_and_one_that_is_paused(tmp_path):
    failed = Done("merge", "failed", 3.0, "")
    with pytest.raises(ValueError, match="no memory"):
        keep(OneRun(tmp_path), failed, error=ValueError("no memory"))
    before = file_of(tmp_path)
    assert read(before)["run_succeeded", ("profile", "demo")] == 0
    for ending in (Pause(), KeyboardInterrupt()):
        with pytest.raises(type(ending)):
            keep(OneRun(tmp_path), error=ending)
    assert file_of(tmp_path) == before


def test_odd_metrics_of_another_version_are_left_out(tmp_path):
    run = OneRun(tmp_path)
    odd = {"tokens_per_s": "fast", "peak_memory_gib": None, "eval_loss": True, "released": [1]}
    keep(run, Done("stage2", "ran", 1.0, run.made("stage2", odd)), Done("gguf", "ran", 1.0, "gone"))
    names = {key[0] for key in read(file_of(tmp_path))}
    assert "step_seconds" in names
    assert not [name for name in names if name.startswith(("training", "evaluation"))]


def test_node_exporter_may_read_the_folder_that_is_named(tmp_path, monkeypatch):
    named = tmp_path / "textfiles"
    named.mkdir()
    monkeypatch.setenv("KOSPILOT_FOLDER", str(tmp_path))
    monkeypatch.setenv("KOSPILOT_METRICS", "textfiles")
    mask = os.umask(0o077)
    try:
        keep(OneRun(tmp_path / "home", part="stage1"))
    finally:
        os.umask(mask)
    [file] = named.iterdir()
    assert file.name == "kospilot-demo-stage1.prom"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert ("run_succeeded", ("part", "stage1"), ("profile", "demo")) in read(file.read_text())


def test_a_folder_that_is_not_there_holds_no_run_up(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("KOSPILOT_METRICS", str(tmp_path / "no-such-folder"))
    keep(OneRun(tmp_path))
    assert "no-such-folder is no folder: this run's figures are not written" in caplog.text
    assert list(tmp_path.iterdir()) == []
    monkeypatch.delenv("KOSPILOT_METRICS")
    (tmp_path / "metrics").write_text("a file")
    keep(OneRun(tmp_path))
    assert "This run's figures are not written: " in caplog.text


def test_the_server_exports_every_profile_and_survives_what_else_lies_there(tmp_path):
    for profile in ("demo", "smol"):
        keep(OneRun(tmp_path, profile), Done("gguf", "ran", 2.0, ""))
    folder = tmp_path / "metrics"
    (folder / "kospilot-cut.prom").write_text("# TYPE kospilot_x gauge\nkospilot_x{a=")
    (folder / "kospilot-bytes.prom").write_bytes(b"\xff\xfe\x00")
    (folder / "kospilot-folder.prom").mkdir()
    os.mkfifo(folder / "kospilot-fifo.prom")
    (folder / "others.prom").write_text("others_figure 1\n")
    registry = CollectorRegistry()
    registry.register(WrittenFigures(tmp_path))
    told = read(generate_latest(registry).decode())
    profiles = [key[1][1] for key in told if key[0] == "step_seconds"]
    assert profiles == ["demo", "smol"]
    assert all(key[0].startswith(("run_", "step_")) for key in told)


def test_a_run_that_fails_while_it_is_planned_leaves_the_figures_of_the_one_before(tmp_path):
    run = OneRun(tmp_path)
    keep(run, Done("evaluate", "ran", 3.0, run.made("evaluate", GRADED)))
    file = tmp_path / "metrics" / "kospilot-demo.prom"
    before = read(file.read_text())
    tell_unplanned(tmp_path, "demo")
    after = read(file.read_text())
    assert before.keys() == after.keys()
    changed = {key for key in before if before[key] != after[key]}
    assert any("run_succeeded" in str(key) for key in changed)
    assert all(key[0].startswith("run_") for key in changed)
    tell_unplanned(tmp_path, "smol")
    assert "kospilot_run_succeeded" in (tmp_path / "metrics" / "kospilot-smol.prom").read_text()
