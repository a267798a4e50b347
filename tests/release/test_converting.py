"""A converter that trusts the code of every model does not get to run it."""

import json
import sys

import pytest

from tasks.core.errors import WorkError
from tasks.core.processes.child import run_child

TRUSTING = """\
import sys
from neighbour import TRUST
from transformers import AutoTokenizer
AutoTokenizer.from_pretrained(sys.argv[1], trust_remote_code=TRUST)
"""


@pytest.mark.slow
def test_code_in_a_models_folder_is_not_run(tmp_path):
    marker = tmp_path / "ran"
    model = tmp_path / "model"
    model.mkdir()
    (model / "tokenizer_evil.py").write_text(f"open({str(marker)!r}, 'w')\nclass Evil: pass\n")
    named = {"AutoTokenizer": ["tokenizer_evil.Evil", "tokenizer_evil.Evil"]}
    config = {"tokenizer_class": "Evil", "auto_map": named}
    (model / "tokenizer_config.json").write_text(json.dumps(config))
    (model / "config.json").write_text('{"model_type": "llama"}')
    converter = tmp_path / "converter.py"
    converter.write_text(TRUSTING)
    (tmp_path / "neighbour.py").write_text("TRUST = True")
    guarded = [sys.executable, "-m", "tasks.core.release.converting", converter, model]
    with pytest.raises(WorkError, match="is code of the model's own"):
        run_child(guarded)
    assert not marker.exists()
