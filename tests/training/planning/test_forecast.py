"""Plans for cards that are not here, with the rows' own lengths or assumed ones."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from flows.commands.run import plan
from flows.commands.train import plan_card
from tasks.core.data.base_model.config import base_config
from tasks.core.errors import RequestError
from tasks.core.preflight.trials import expect_rows, spec_of
from tasks.core.settings.profiles import load
from tasks.core.training.hardware.datasheets import Card, card_of
from tasks.core.training.planning.forecast import forecast
from tasks.core.training.planning.plan import ExpectedRows
from tasks.core.training.stage import train
from tests.tiny import chat_rows, write_jsonl
from tests.training.conftest import changed

SETTINGS = load("kospi-7b").settings


def forecast_for(text: str, stage: str, tmp_path, **changes) -> dict:
    config = base_config(SETTINGS.model.base, tmp_path)
    spec = changed(spec_of(SETTINGS, stage, {}), **changes)
    return forecast(spec, config, expect_rows(SETTINGS, stage), card_of(text))


def test_larger_and_faster_cards_take_less_time_and_none_more_memory_than_it_has(tmp_path):
    sizes = {"12gb": 12, "24gb": 24, "L40S": 45, "80gb": 80, "H200": 140}
    forecasts = [forecast_for(text, "stage1", tmp_path) for text in sizes]
    for line, gib in zip(forecasts, sizes.values(), strict=True):
        assert line["peak_gib"] < gib - 1
    for slower, faster in pairwise(forecasts):
        assert faster["step_s"] < slower["step_s"]
    assert {line["steps"] for line in forecasts} == {25_000}
    assert forecasts[0]["base_weights"] == "nf4"
    assert forecasts[-1]["base_weights"] == "nf4 in bf16"
    assert forecasts[0]["total_s"] == pytest.approx(25_000 * forecasts[0]["step_s"], rel=1e-3)


def forecast_of(stage: str, tmp_path, profile: str, *overrides: str) -> dict:
    """The stage's plan for a card of 8 GB."""
    settings = load(profile, overrides).settings
    config = base_config(settings.model.base, tmp_path)
    return forecast(
        spec_of(settings, stage, {}),
        config,
        expect_rows(settings, stage),
        card_of("8gb"),
    )


def test_what_would_fit_is_told_in_tokens_as_max_length_counts_them(tmp_path):
    """A pair of up to 2,000 tokens takes half as many more with its other answer."""
    problem = forecast_of("stage3", tmp_path, "kospi-7b", "training.lora_rank=16")["problem"]
    most, length = re.search(
        r"rows of up to (\d+) tokens .* training\.max_length=(\d+) would fit", problem
    ).groups()
    assert int(most) == 3_000
    shorter = [f"training.max_length={length}", f"synthesis.token_budget={length}"]
    assert "problem" not in forecast_of(
        "stage3", tmp_path, "kospi-7b", "training.lora_rank=16", *shorter
    )


def test_a_base_that_is_not_quantized_is_planned_as_it_is(tmp_path):
    large = forecast_for("80gb", "stage1", tmp_path, quantize_base="none")
    assert large["base_weights"] == "bf16"
    small = forecast_for("12gb", "stage1", tmp_path, quantize_base="none")
    assert "training.quantize_base=nf4 would fit." in small["problem"]


@pytest.mark.parametrize("stage", ["stage1", "stage2", "stage3"])
def test_the_profile_for_a_card_of_8_gb_fits_one(tmp_path, stage):
    assert "problem" not in forecast_of(stage, tmp_path, "kospi-7b-8gb")


def test_where_nobody_knows_the_speed_only_the_memory_is_planned(tmp_path):
    figures = forecast_for("22", "stage1", tmp_path)
    assert (figures["step_s"], figures["total_s"]) == (None, None)
    assert 0 < figures["peak_gib"] < 21


def test_a_cap_is_kept_and_a_card_that_is_too_small_says_what_it_takes(tmp_path):
    assert forecast_for("80gb", "stage1", tmp_path, memory_gib=12)["peak_gib"] < 12
    problem = forecast_for("6gb", "stage1", tmp_path)["problem"]
    assert re.search(r"takes \d\.\d GiB at least, but only 5 GiB are there", problem)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"backend": "trl"}, "trl would train, because training.backend asks"),
        ({"lora_dropout": 0.1}, "lora_dropout=0.1"),
    ],
)
def test_what_the_engine_does_not_train_has_no_plan(tmp_path, changes, reason):
    problem = forecast_for("24gb", "stage1", tmp_path, **changes)["problem"]
    assert problem.startswith("Plans are the engine's")
    assert reason in problem


def test_a_dpo_stage_counts_its_references_pass(tmp_path):
    figures = forecast_for("24gb", "stage3", tmp_path)
    assert figures["total_s"] == pytest.approx(250 * figures["step_s"] * 4 / 3, rel=1e-2)


@pytest.mark.slow
def test_rows_that_are_there_are_measured_and_make_the_steps_that_training_makes(sft, base):
    config = json.loads((base / "config.json").read_text())
    figures = forecast(sft, config, ExpectedRows(9_999, 9_999), Card("", 8))
    assert figures["lengths"] == "measured"
    metrics = train(sft)
    assert (figures["rows"], figures["steps"]) == (metrics["rows"], metrics["steps"]) == (28, 7)
    half = forecast(changed(sft, token_budget=1_000), config, ExpectedRows(0, 0), Card("", 8))
    assert half["rows"] == train(changed(sft, token_budget=1_000))["rows"] < 28


def test_of_many_rows_as_many_are_held_out_as_training_holds_out(sft, base, monkeypatch):
    """Training keeps 1 % of them, and 500 at most: here of 400, and 2 at most."""
    monkeypatch.setattr("tasks.core.training.rows.selection._EVAL_MOST", 2)
    monkeypatch.setattr("tasks.core.training.planning.forecast._ROWS_LOOKED_AT", 100)
    write_jsonl(Path(sft.rows), chat_rows(400))
    config = json.loads((base / "config.json").read_text())
    assert forecast(sft, config, ExpectedRows(0, 0), Card("", 8))["rows"] == 398


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "news"}, "Unrecognized model identifier: news. Take"),
        ({}, "'model_type'. Take"),
    ],
)
def test_a_base_that_transformers_does_not_know_has_no_plan(tmp_path, config, reason):
    found = forecast(
        spec_of(SETTINGS, "stage1", {}), config, ExpectedRows(100, 100), card_of("24gb")
    )
    assert "cannot read the base's config.json: " in found["problem"]
    assert reason in found["problem"]


def test_the_command_plans_without_market_download_or_network(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KOSPILOT_HOME", str(tmp_path))
    plan_card(
        "kospi-7b",
        ["stages.skip=[stage1]", f"market.dir={tmp_path / 'none'}"],
        "24gb",
        as_json=True,
    )
    planned = json.loads(capsys.readouterr().out)
    assert (planned["card"], planned["gib"]) == ("RTX 4090", 24)
    assert [(line["stage"], line["lengths"]) for line in planned["stages"]] == [
        ("stage2", "assumed"),
        ("stage3", "assumed"),
    ]
    plan_card("kospi-7b", [f"market.dir={tmp_path / 'none'}"], "6gb", as_json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "stage1: Training this base on rows of up to 2048 tokens takes" in shown


def test_a_step_cannot_be_forced_on_a_card_that_is_not_here():
    with pytest.raises(
        RequestError, match="^--card plans each stage as if it ran: leave --force out.$"
    ):
        plan("kospi-7b", force=["stage1"], card="24gb")
