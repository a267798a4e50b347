"""T5, BART and their like are refused by name, at plan or before any weights are fetched."""

import json

import pytest

from tasks.core.data.base_model import config as config_module
from tasks.core.data.base_model import folder as base_folder
from tasks.core.data.base_model.config import base_config
from tasks.core.data.base_model.folder import fetch_base, fingerprint_base
from tasks.core.data.base_model.parts import read_shape
from tasks.core.errors import RequestError
from tasks.core.files.digests import digest_file
from tests.data.test_base_model import quiet

T5 = {"model_type": "t5", "is_encoder_decoder": True}
KOBART = {"model_type": "bart", "architectures": ["BartModel"]}  # an old one does not say it
MBART = {"model_type": "mbart", "is_encoder_decoder": True}
PEGASUS = {"architectures": ["PegasusForConditionalGeneration"]}
MT5 = {"model_type": "mt5", "architectures": ["MT5ForConditionalGeneration"]}
WHISPER = {"model_type": "whisper", "is_encoder_decoder": True}

GEMMA = {"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"]}
QWEN = {"model_type": "qwen2", "is_encoder_decoder": False}


def written(folder, config):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (T5, "t5"),
        (KOBART, "bart"),
        (MBART, "mbart"),
        (PEGASUS, "PegasusForConditionalGeneration"),
        (MT5, "mt5"),
        (WHISPER, "whisper"),
    ],
)
def test_a_local_one_is_refused_at_plan_whatever_else_is_missing(tmp_path, config, name):
    folder = written(tmp_path / "base", config)  # with neither weights nor a tokenizer we read
    with pytest.raises(RequestError) as caught:
        fingerprint_base(str(folder), tmp_path, digest_file)
    assert str(caught.value) == (
        f"The base model {folder} is an encoder-decoder ({name}), as T5, BART and Pegasus are: it"
        " is neither trained nor served here, where a chat goes on from its own text. Take a"
        " decoder: model.base=Qwen/Qwen2.5-1.5B-Instruct, or the small"
        " model.base=HuggingFaceTB/SmolLM2-360M-Instruct."
    )


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_one_of_the_hub_is_refused_by_its_configuration_alone(tmp_path, monkeypatch, weights):
    folder = written(tmp_path / "hub", T5)
    fetched = []

    def fetch(repo, commit, names, progress):
        fetched.extend(names)
        return {name: folder / name for name in names}

    sizes = {"config.json": 9, weights: 10**9, "spiece.model": 9}
    monkeypatch.setattr(base_folder, "pin_commit", lambda repo, cache: "0" * 40)
    monkeypatch.setattr(base_folder, "list_files", lambda repo, commit: sizes)
    monkeypatch.setattr(base_folder, "fetch_files", fetch)
    with pytest.raises(RequestError, match=r"The base model google-t5/t5-base is an encoder-dec"):
        fetch_base("google-t5/t5-base", tmp_path / "out", quiet)
    assert fetched == ["config.json"]


def test_a_forecast_for_a_card_refuses_it_too(tmp_path, monkeypatch):
    file = written(tmp_path / "hub", MT5) / "config.json"
    monkeypatch.setattr(config_module, "_fetch_config", lambda repo, cache: file)
    with pytest.raises(RequestError, match=r"google/mt5-small is an encoder-decoder \(mt5\)"):
        base_config("google/mt5-small", tmp_path)


@pytest.mark.parametrize("config", [GEMMA, QWEN, {}])
def test_what_decodes_is_not_refused(tmp_path, config):
    assert read_shape("base", written(tmp_path, config) / "config.json") == config
