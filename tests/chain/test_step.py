"""Steps put in order: each after what it reads, as early as that allows."""

import pytest

from tasks.core.chain.step import Step, resolve
from tasks.core.settings.profiles import load


def step(name, *reads, **more):
    return Step(
        name, build=lambda job: {}, content=("*",), reads=dict.fromkeys(reads, ("*",)), **more
    )


def test_a_step_waits_for_what_it_reads_and_no_longer():
    steps = [step("a"), step("late", "c"), step("b"), step("c", "b"), step("d", "a")]
    assert list(resolve(steps, load("demo").settings)) == ["a", "b", "c", "late", "d"]


def test_reads_that_depend_on_the_settings_are_added_and_idle_steps_left_out():
    steps = [
        step("a"),
        step("b", runs=lambda settings: settings.pairs.rows > 1_000_000),
        step("c", reads_also=lambda settings: {"a": (f"{settings.release.name}.bin",)}),
    ]
    resolved = resolve(steps, load("demo").settings)
    assert list(resolved) == ["a", "c"]
    assert resolved["c"].reads == {"a": ("kospilot-demo.bin",)}


def test_a_circle_is_our_bug():
    with pytest.raises(AssertionError, match="reads what no step makes, or reads in a circle"):
        resolve([step("a", "b"), step("b", "a")], load("demo").settings)
