"""Code, links and pointers in other people's folders are refused by name, before they are used."""

import json
import os

import pytest

from tasks.core.errors import RequestError
from tasks.core.files.foreign import refuse_foreign

POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 132000000\n"
)


@pytest.fixture
def folder(tmp_path):
    """A folder with a configuration, whose vocabulary knows the words that name code."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"auto_map": {}}')
    (folder / "vocab.json").write_text('{"auto_map": 7}')
    return folder


def refusal(folder):
    with pytest.raises(RequestError) as refused:
        refuse_foreign(folder, sorted(os.listdir(folder)))
    return str(refused.value)


def test_a_plain_folder_may_be_used(folder):
    refuse_foreign(folder, os.listdir(folder))


@pytest.mark.parametrize("name", ["tokenizer_evil.py", "modeling.PY", "kernel.so"])
def test_a_program_is_refused(folder, name):
    (folder / name).write_text("")
    assert f"brings code of its own ({name})" in refusal(folder)


def test_code_that_a_configuration_names_is_refused_at_any_depth(folder):
    named = {"text_config": [{"auto_map": {"AutoConfig": "evil.Config"}}]}
    (folder / "tokenizer_config.json").write_text(json.dumps(named))
    assert "tokenizer_config.json asks for code of the model's own (auto_map" in refusal(folder)


def test_a_configuration_that_is_no_json_is_left_to_its_reader(folder):
    (folder / "config.json").write_text("[" * 100_000)
    refuse_foreign(folder, ["config.json"])


@pytest.mark.parametrize("target", ["/etc/shadow", "../outside", "loop"])
def test_a_link_out_of_the_folder_is_refused(folder, target):
    (folder.parent / "outside").write_text("secret")
    (folder / "LICENSE").symlink_to(target)
    if target == "loop":
        (folder / "loop").symlink_to("LICENSE")
        assert "cannot be read" in refusal(folder)
    else:
        assert "is a link to" in refusal(folder)


def test_links_within_a_folder_and_in_the_hubs_cache_are_followed(tmp_path):
    snapshot = tmp_path / "models--a--b" / "snapshots" / "abc"
    blobs = tmp_path / "models--a--b" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "123").write_text("{}")
    (snapshot / "config.json").symlink_to("../../blobs/123")
    (snapshot / "LICENSE").symlink_to("config.json")
    refuse_foreign(snapshot, ["LICENSE", "config.json"])
    linked = tmp_path / "linked"
    linked.symlink_to(snapshot)
    refuse_foreign(linked, ["LICENSE", "config.json"])


@pytest.mark.parametrize(
    ("pointer", "told"),
    [
        (POINTER, "is a Git LFS pointer"),
        (POINTER.replace("\n", "\r\n"), "git lfs pull"),
        (f"\ufeff{POINTER}", "git lfs pull"),
        (POINTER.replace("git-lfs", "hawser"), "git lfs pull"),
        ("/annex/objects/SHA256E-s132000000--4d7a.safetensors\n", "is a git-annex pointer"),
        ("../.git/annex/objects/Xq/1Z/SHA256E-s1--4d/SHA256E-s1--4d", "git annex get"),
    ],
    ids=["lfs", "windows lines", "mark", "hawser", "annex", "annex without links"],
)
def test_a_pointer_is_named_as_such(folder, pointer, told):
    (folder / "model.safetensors").write_bytes(pointer.encode())
    assert "model.safetensors is a" in refusal(folder)
    assert told in refusal(folder)
