"""The model card says what an adapter is, what it was made from and what was checked."""

import shutil
from pathlib import Path

import pytest

from tasks.core.training.checks.report import Check
from tasks.core.training.model_card import write_card

CHECKS = [
    Check("trained_share", 0.4, "of the positions"),
    Check("dpo_loss", 0.693147, "nats", "0.693147 +- 0.001"),
]
METRICS = {
    "rows": 1_234,
    "positions_per_epoch": 99_000,
    "steps": 77,
    "left_out": {"longer than max_length": 3},
}
METRICS |= {
    "final_loss": 0.51234567,
    "eval_loss": None,
    "plan": "2 layers checkpointed",
    "backend": "engine",
}


@pytest.fixture
def card(dpo, tmp_path):
    base = Path(shutil.copytree(dpo.base, tmp_path / "base"))

    def make(**more) -> str:
        read = {
            "base_files": {"config.json": "c" * 64, "model.safetensors": "b" * 64},
            "rows_sha256": "d" * 64,
        }
        read["start_files"] = {"adapter_model.safetensors": "a" * 64}
        write_card(type(dpo)(**vars(dpo) | {"base": str(base)}), read, CHECKS, METRICS | more)
        return (Path(dpo.out) / "README.md").read_text()

    return make


def test_it_says_what_the_adapter_is_and_was_made_from(card):
    text = card()
    assert text.startswith("---\nlibrary_name: peft\n")
    assert "# LoRA adapter of stage3\n\nDirect preference optimization (DPO" in text
    assert f"| model.safetensors | `{'b' * 64}` |" in text
    assert f"continues the earlier stage's adapter, sha256 `{'a' * 64}`" in text
    assert (
        "1,234 pairs of `pairs.jsonl`, 99,000 tokens an epoch."
        " Left out whole: 3 longer than max_length." in text
    )
    assert f"sha256 is `{'d' * 64}`" in text


def test_it_holds_the_figures_the_checks_and_the_picture(card):
    text = card(warnings=["step 3: grad_norm 6.1", "step 9: hot"], given_up=[])
    assert "\nWarnings:\n\n- step 3: grad_norm 6.1\n- step 9: hot\n" in text
    assert "Given up" not in text
    assert "The plan was: 2 layers checkpointed." in text
    assert "| final loss | 0.512346 |" in text
    assert "eval loss" not in text
    assert "| yes | trained share | 0.4 of the positions |  |" in text
    assert "| yes | dpo loss | 0.693147 nats | 0.693147 +- 0.001 |" in text
    assert "(loss.png)" in text
    assert "no investment advice" in text


def test_it_quotes_the_bases_licence(card, tmp_path):
    assert "The base's files name none" in card()
    (tmp_path / "base" / "LICENSE").write_text("\n   Apache License 2.0\n\nTerms")
    assert "licence holds for the adapter too. Its LICENSE begins: Apache License 2.0" in card()
