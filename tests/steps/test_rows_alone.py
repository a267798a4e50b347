"""A recipe that learns from its own rows alone has no market, and is asked the rows it kept."""

from tasks.core.settings.profiles import load
from tasks.core.steps import chain


def test_tool_calling_needs_no_market():
    steps = chain(load("tool-calling", ["data.own=rows.jsonl"]).settings)
    assert not {"market", "synthesize", "pairs", "stage2", "stage3"} & steps.keys()
    assert steps["evaluate"].reads["normalize"] == ("rows.parquet", "test.parquet")
    assert "normalize" in steps["parity"].reads and "synthesize" not in steps["parity"].reads


def test_the_strategy_is_asked_about_with_stage_1_alone_too():
    steps = chain(load("demo", ["stages.skip=[stage2,stage3]"]).settings)
    assert "market" in steps and steps["evaluate"].reads["market"] == ("holdout/*",)
