"""Base models of public bug reports: read, or refused before anything is trained.

They are made here as the reports' scripts make them; rows that go with them lie outside the
repository, and where that folder is absent, their tests are skipped.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from tasks.core.data.base_model.check import check
from tasks.core.data.base_model.folder import fingerprint_base
from tasks.core.data.download import fingerprints
from tasks.core.errors import RequestError
from tasks.core.files.digests import digest_file
from tasks.core.files.json_files import read_lines
from tasks.core.settings.data import Data
from tasks.core.settings.tree import Model
from tasks.core.training.policy.base_model import load_tokenizer
from tasks.core.training.rows.encoding import encode_rows
from tasks.core.training.rows.selection import select_rows
from tests.conftest import made_once
from tests.files.test_foreign import POINTER
from tests.tiny import CHATML, make_base

REPORTS = Path(__file__).parents[3] / "shared/cases/reports"
LOOP = "{%- for message in messages %}"
NO_SYSTEM = CHATML.replace(
    LOOP,
    "{%- if messages[0]['role']=='system' %}{{ raise_exception('System role not supported') }}"
    "{%- endif %}" + LOOP,
    1,
)
ALTERNATE = CHATML.replace(
    LOOP,
    "{%- set ns = namespace(last='') %}" + LOOP + "{%- if message['role'] == ns.last %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
    "{%- endif %}{%- set ns.last = message['role'] %}",
)
NF4 = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
TEXTS = [
    "코스피 −2.35%\n",
    '{"regime": "BEAR", "net_exposure_pct": 18}',
    "<|im_start|>user\n국면은?",
]


@pytest.fixture
def base(tmp_path_factory, tmp_path):
    plain = made_once(tmp_path_factory, "reported-base", make_base)
    return Path(shutil.copytree(plain, tmp_path / "base"))


def change_json(file, **values):
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def plan(base):
    """What `kospilot plan demo model.base=BASE` looks at."""
    return fingerprint_base(str(base), base.parent, digest_file)


def test_the_plain_base_is_read(base):
    assert plan(base)
    assert check(base) == []


def test_c20_a_template_without_system(base):
    (base / "chat_template.jinja").write_text(NO_SYSTEM)
    with pytest.raises(RequestError, match="System role not supported.*strategy prompt"):
        plan(base)


@pytest.mark.skipif(not REPORTS.exists(), reason="needs ../shared/cases/reports")
def test_c03_rows_that_a_template_refuses_are_told_at_plan_and_left_out(base, caplog):
    (base / "chat_template.jinja").write_text(ALTERNATE)
    rows = REPORTS / "c03-not-alternating/rows.jsonl"
    fingerprints(Model(base=str(base)), Data(own=str(rows), own_share=1), base.parent, digest_file)
    told = "60 of the first 60 rows of"
    assert told in caplog.text and "refused by the base's chat template" in caplog.text
    encoded = encode_rows(load_tokenizer(base), read_lines(rows), "sft", whole_text=False)
    with pytest.raises(RequestError, match="refuses every one of 60 rows"):
        select_rows(encoded, 512, 0, 1)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_c30_a_pointer_of_git_lfs(base, name):
    (base / name).write_text(POINTER)
    with pytest.raises(RequestError, match=rf"{name} is a Git LFS pointer.*git lfs pull"):
        plan(base)


def test_c31_bytes_in_the_place_of_weights(base):
    weights = load_file(base / "model.safetensors")
    for name, weight in weights.items():
        if name.endswith("proj.weight"):
            weights[name] = torch.zeros((weight.numel() // 2, 1), dtype=torch.uint8)
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    change_json(base / "config.json", quantization_config=NF4)
    assert check(base) == ["its config.json has a quantization_config, and no weight is in NF4"]


def test_c32_vocabulary_and_merges_without_tokenizer_json(base):
    tokenizer = json.loads((base / "tokenizer.json").read_text())
    before = AutoTokenizer.from_pretrained(base)
    wanted = [before.encode(text) for text in TEXTS]
    (base / "tokenizer.json").unlink()
    (base / "vocab.json").write_text(json.dumps(tokenizer["model"]["vocab"], ensure_ascii=False))
    merges = "\n".join(" ".join(pair) for pair in tokenizer["model"]["merges"])
    (base / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
    change_json(base / "tokenizer_config.json", tokenizer_class="Qwen2Tokenizer")
    assert check(base) == []
    assert (base / "tokenizer.json").is_file()
    after = AutoTokenizer.from_pretrained(base)
    assert [after.encode(text) for text in TEXTS] == wanted
