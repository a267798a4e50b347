"""One artifact is made with its declared settings, from inputs that are held and rebuilt."""

import errno
from dataclasses import replace

import pytest

from tasks.core.chain.produce import produce
from tasks.core.chain.run import Run
from tasks.core.chain.step import Step
from tasks.core.chain.store import Store
from tasks.core.errors import WorkError
from tasks.core.settings.profiles import load
from tasks.core.settings.section import UndeclaredSetting


def write_bytes(job):
    """Builds the step that others read; how often is told by the log beside the artifacts."""
    with (job.home / "builds.log").open("a") as log:
        log.write(f"{job.step}\n")
    (job.out / "made.bin").write_text("weights")
    return {"bytes": 7}


def copy_bytes(job):
    read = job.folder("first") / "made.bin"
    assert job.folder("first") == read.parent  # asked for twice, it is held once
    assert Store(job.home / "artifacts").is_held(f"first-{read.parent.name}")
    (job.out / "made.bin").write_bytes(read.read_bytes())
    return {}


FIRST = Step("first", write_bytes, content=("made.bin",), expendable=True)
SECOND = Step("second", copy_bytes, content=("made.bin",), reads={"first": ("made.bin",)})
FIRST_AND_SECOND = {"first": ("made.bin",), "second": ("made.bin",)}


def run_of(home, *steps):
    home.mkdir(exist_ok=True)
    named = {step.name: step for step in steps}
    return Run(load("demo"), home, named, {}, (), lambda: lambda tag, digest: None)


def silent(share, text):
    """Nobody looks."""


def builds(home):
    return (home / "builds.log").read_text().split()


def test_an_intact_artifact_is_found_and_not_made_again(tmp_path):
    run = run_of(tmp_path / "home", FIRST)
    ref = produce(run, "first", {}, silent)
    assert produce(run, "first", {}, silent) == ref
    assert builds(run.home) == ["first"]
    manifest = run.store.known("first", ref.key)
    assert manifest.metrics == {"bytes": 7}
    assert manifest.made["profile"] == "demo"


def test_expendable_content_is_held_while_it_is_read_and_freed_after(tmp_path):
    run = run_of(tmp_path / "home", FIRST, SECOND)
    first = produce(run, "first", {}, silent)
    second = produce(run, "second", {"first": first}, silent)
    assert not run.store.is_held(f"first-{first.key}")
    assert run.store.known("second", second.key).lineage == {"first": first.key}


def test_expended_content_is_rebuilt_by_its_own_step_for_who_reads_it(tmp_path):
    run = run_of(tmp_path / "home", FIRST, SECOND)
    first = produce(run, "first", {}, silent)
    run.store.expend(first)
    produce(run, "second", {"first": first}, silent)
    assert builds(run.home) == ["first", "first"]
    assert run.store.problem("first", first.key, deep=True) is None


@pytest.mark.parametrize("order", [("first", "second"), ("second", "first")])
def test_expended_content_is_rebuilt_for_who_reads_what_it_is_made_from_too(tmp_path, order):
    def read_both(job):
        (job.out / "made.bin").write_text(" ".join(job.folder(name).name for name in order))
        return {}

    second = replace(SECOND, expendable=True)
    third = Step("third", read_both, ("made.bin",), reads=FIRST_AND_SECOND)
    run = run_of(tmp_path / "home", FIRST, second, third)
    first = produce(run, "first", {}, silent)
    made = produce(run, "second", {"first": first}, silent)
    for ref in (first, made):
        run.store.expend(ref)
    produce(run, "third", {"first": first, "second": made}, silent)
    assert builds(run.home) == ["first", "first"]
    assert not run.store.expended(run.store.known("second", made.key))


def test_what_remains_to_be_done_is_done_for_a_found_artifact_too(tmp_path):
    done = []

    def note(settings, store, manifest):
        done.append((settings.release.name, manifest.recipe.step))

    step = Step("first", write_bytes, ("made.bin",), consults=("release.name",), after=note)
    run = run_of(tmp_path / "home", step)
    produce(run, "first", {}, silent)
    produce(run, "first", {}, silent)
    assert done == [("kospilot-demo", "first")] * 2
    assert builds(run.home) == ["first"]


def test_content_that_comes_out_different_is_refused(tmp_path):
    run = run_of(tmp_path / "home", FIRST, SECOND)
    first = produce(run, "first", {}, silent)
    run.store.expend(first)

    def write_others(job):
        (job.out / "made.bin").write_text("other weights")
        return {}

    changed = run_of(tmp_path / "home", Step("first", write_others, ("made.bin",)), SECOND)
    with pytest.raises(WorkError, match="came out different when rebuilt"):
        produce(changed, "second", {"first": first}, silent)


@pytest.mark.parametrize(
    ("settings", "consults", "allowed"),
    [
        (("release.quantization",), (), True),
        (("release",), (), True),
        ((), ("release.quantization",), True),
        (("release.num_ctx",), (), False),
        (("pairs",), (), False),
        ((), (), False),
    ],
)
def test_a_build_reads_the_settings_that_its_step_declares_and_no_other(
    tmp_path, settings, consults, allowed
):
    def build(job):
        (job.out / "made.bin").write_text(job.settings.release.quantization)
        return {}

    step = Step("first", build, ("made.bin",), settings=settings, consults=consults)
    run = run_of(tmp_path / "home", step)
    if allowed:
        produce(run, "first", {}, silent)
        return
    with pytest.raises(UndeclaredSetting, match="release.* is not among the step's settings"):
        produce(run, "first", {}, silent)


def test_a_full_disk_is_said_with_what_to_do(tmp_path):
    def build(job):
        raise OSError(errno.ENOSPC, "No space left on device", str(job.out))

    run = run_of(tmp_path / "home", Step("first", build, ("made.bin",)))
    # Whether it is full now is the machine's matter; tests/chain/test_full_disk.py has a full one.
    with pytest.raises(WorkError, match=r"first stopped because .* disk of .* MB of .* Free some"):
        produce(run, "first", {}, silent)
