"""The chain of steps: what is in it, in which order, and what each step may read."""

import ast
import inspect
from pathlib import Path

import pytest

from tasks.core.chain.step import Surroundings
from tasks.core.errors import RequestError
from tasks.core.files.memory import DigestMemory
from tasks.core.settings.profiles import load
from tasks.core.settings.tree import Settings
from tasks.core.steps import CHAIN, _shipped, chain
from tasks.steps import TASKS
from tests.every_step import EVERY_STEP


def names(*overrides):
    return list(chain(load("demo", [*EVERY_STEP, *overrides]).settings))


def test_data_is_made_before_any_training():
    assert names() == [
        "download", "rehearse", "normalize", "market", "synthesize", "pairs", "stage1", "stage2",
        "stage3", "merge", "gguf", "imatrix", "quantize", "parity", "register", "baseline",
        "evaluate", "promote",
    ]  # fmt: skip


def test_pairs_with_the_models_own_rejects_are_made_after_stage_2():
    steps = names("pairs.model_reject_share=0.15")
    assert steps[5:10] == ["stage1", "stage2", "rejects", "pairs", "stage3"]


def test_rejects_without_the_model_that_gives_them_are_refused():
    with pytest.raises(RequestError, match="asks the Stage 2 model, and stages.skip leaves stage2"):
        names("pairs.model_reject_share=0.15", "stages.skip=[stage2]")


def test_a_skipped_stage_is_left_out_and_the_next_starts_from_the_newest_earlier_one():
    steps = chain(load("demo", ["stages.skip=[stage2]"]).settings)
    assert "stage2" not in steps
    assert "stage1" in steps["stage3"].reads
    assert "stage3" in steps["merge"].reads


def test_every_step_is_a_task_of_its_own_name():
    assert {name: task.name for name, task in TASKS.items()} == {s.name: s.name for s in CHAIN}


def test_a_correction_of_a_shipped_table_changes_what_is_made_from_it(tmp_path, monkeypatch):
    around = Surroundings(load("demo").settings, tmp_path, DigestMemory(tmp_path / "memory"))
    looking = ("market", "synthesize", "evaluate", "normalize", "register")
    before = {step.name: step.outside(around) for step in CHAIN if step.name in looking}
    assert {"universe.csv", "etfs.csv", "sectors.csv"} <= before["synthesize"].keys()
    corrected = {**_shipped.table_digests(), "universe.csv": "a name was corrected"}
    for name in ("market", "synthesize", "evaluate"):
        monkeypatch.setattr(f"tasks.core.steps.{name}.table_digests", lambda: corrected)
    after = {step.name: step.outside(around) for step in CHAIN if step.name in looking}
    assert {name for name in looking if before[name] != after[name]} == {
        "market", "synthesize", "evaluate"
    }  # fmt: skip


def test_another_generator_of_invented_markets_makes_their_rows_again(tmp_path, monkeypatch):
    def outside(number):
        settings = load("demo", [f"synthesis.invented_markets={number}"]).settings
        around = Surroundings(settings, tmp_path, DigestMemory(tmp_path / "memory"))
        return chain(settings)["synthesize"].outside(around)

    before = outside(0), outside(1)
    monkeypatch.setattr("tasks.core.market.demo.VERSION", 99)
    assert outside(0) == before[0]
    assert outside(1) != before[1]


def test_a_changed_rule_card_asks_a_briefed_base_again(tmp_path, monkeypatch):
    evaluate = chain(load("demo", EVERY_STEP).settings)["evaluate"]

    def outside(models):
        settings = load("demo", [*EVERY_STEP, f"evaluation.models={models}"]).settings
        return evaluate.outside(Surroundings(settings, tmp_path, DigestMemory(tmp_path / "memory")))

    before = outside("[base]"), outside("[base,briefed]")
    monkeypatch.setattr("tasks.core.steps.evaluate.cards_digest", lambda: "a limit was added")
    assert outside("[base]") == before[0]
    assert outside("[base,briefed]") == {**before[1], "rule cards": "a limit was added"}
    assert before[1]["rule cards"] == _shipped.cards_digest()


def settings_read(file):
    """Every `settings.SECTION` and `settings.SECTION.FIELD` that the functions of a build name.

    A section under another name (`release = job.settings.release`) is followed to its fields.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        if [argument.arg for argument in function.args.args][:1] == ["job"]:
            yield from _settings_read_in(function)


def _settings_read_in(function):
    aliases = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            path = _path(node.value, aliases)
            if path is not None:
                aliases[node.targets[0].id] = path
    for node in ast.walk(function):
        path = _path(node, aliases)
        if path:
            yield path


def _path(node, aliases):
    """The dotted setting that an expression stands for; "" for all of them, None for none."""
    if isinstance(node, ast.Name):
        return aliases.get(node.id)
    if not isinstance(node, ast.Attribute):
        return None
    if isinstance(node.value, ast.Name) and node.value.id == "job" and node.attr == "settings":
        return ""
    outer = _path(node.value, aliases)
    if outer is None or outer.count(".") > 0:
        return outer
    return f"{outer}.{node.attr}".lstrip(".")


PROPERTIES = {
    "trained_stages": {"stages.skip"},
    "released_stage": {"stages.skip"},
    "release_tag": {"stages.skip", "release.name"},
    "compared_models": {"stages.skip", "release.quantization", "evaluation"},
}


@pytest.mark.parametrize("step", CHAIN, ids=lambda step: step.name)
def test_a_steps_file_reads_no_setting_that_the_step_does_not_declare(step):
    declared = step.readable_settings
    for read in settings_read(Path(inspect.getsourcefile(step.build))):
        section, _, field = read.partition(".")
        if section in PROPERTIES:
            wanted = PROPERTIES[section]
        else:
            assert section in Settings.model_fields, f"{step.name} reads {read}"
            wanted = {read}
        for setting in wanted:
            section = setting.partition(".")[0]
            there = {setting, section} & set(declared)
            partly = setting == section and any(d.startswith(f"{section}.") for d in declared)
            assert there or partly, f"{step.name} reads {setting} and declares {declared}"


@pytest.mark.parametrize("step", CHAIN, ids=lambda step: step.name)
def test_every_declared_setting_exists(step):
    for entry in step.readable_settings:
        section, _, field = entry.partition(".")
        fields = type(getattr(Settings(), section)).model_fields
        assert not field or field in fields, f"{step.name} declares {entry}"
