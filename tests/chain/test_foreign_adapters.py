"""Adapters of other programs are no stages of ours: nothing is taken in, and what can be done with
them is told.

The reported one lies outside the repository; where it is absent, its tests are skipped.
"""

from pathlib import Path

import pytest

from tasks.core.chain.adoption import adopt
from tasks.core.errors import RequestError, WorkError
from tasks.core.release.adapter import check_beginnings

REPORTED = Path(__file__).parents[3] / "shared/cases/reports/d40-foreign-adapter"
needs_report = pytest.mark.skipif(not REPORTED.exists(), reason="needs ../shared/cases/reports")


def refusal_of(folder):
    """Why the folder is not imported, which is told before the run is looked at."""
    with pytest.raises(RequestError) as refusal:
        adopt(None, None, folder)
    return str(refusal.value)


@needs_report
def test_d40_is_not_imported():
    told = refusal_of(REPORTED)
    assert "has no usable training_config.json" in told
    assert f"`kospilot release {REPORTED}`" in told


@needs_report
def test_d40_is_not_released():
    with pytest.raises(WorkError, match="cannot be read as .safetensors"):
        check_beginnings(REPORTED)


@pytest.mark.parametrize("record", [None, "[]", "null", '{"learning_rate": 1e-4}', "\xff"])
def test_an_adapter_of_another_training_is_told_what_makes_a_model_of_it(tmp_path, record):
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    if record:
        (tmp_path / "training_config.json").write_text(record, encoding="latin-1")
    assert f"becomes a model: `kospilot release {tmp_path}`" in refusal_of(tmp_path)


def test_what_is_no_folder_is_told(tmp_path):
    (tmp_path / "lora.gguf").touch()
    assert "lora.gguf is a file. Name the folder" in refusal_of(tmp_path / "lora.gguf")
    assert "gone is not there. Name the folder" in refusal_of(tmp_path / "gone")
    assert "no usable training_config.json: there is none. Name" in refusal_of(tmp_path)
