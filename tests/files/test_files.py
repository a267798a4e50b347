"""Files appear whole or not at all, and what they say can be read back or is named."""

import pytest

from tasks.core.files.atomic import replacing, write_text
from tasks.core.files.digests import digest_file, digest_files, digest_value
from tasks.core.files.json_files import LineError, read_json, read_lines, write_json, write_lines
from tasks.core.files.memory import DigestMemory


def test_an_error_leaves_the_old_file_and_no_neighbour(tmp_path):
    file = tmp_path / "new" / "file.txt"
    write_text(file, "국면")
    with pytest.raises(KeyboardInterrupt), replacing(file) as neighbour:
        neighbour.write_text("half")
        raise KeyboardInterrupt
    assert file.read_bytes() == "국면".encode()
    assert list(file.parent.iterdir()) == [file]


def test_json_is_read_back(tmp_path):
    value = {"b": [1, None], "a": "국면"}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert (tmp_path / "a.json").read_text(encoding="utf-8").startswith('{\n "a": "국면",\n "b"')
    write_lines(tmp_path / "a.jsonl", [value, 2])
    assert list(read_lines(tmp_path / "a.jsonl")) == [value, 2]


def test_a_line_that_is_not_json_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n\n{"a": \n')
    with pytest.raises(LineError, match=r"a\.jsonl, line 3 is not JSON: "):
        list(read_lines(tmp_path / "a.jsonl"))


def test_hidden_files_are_left_out_of_a_folders_digests(tmp_path):
    (tmp_path / "b" / ".cache").mkdir(parents=True)
    for name in ("z", "b/a", ".hidden", "b/.cache/x"):
        (tmp_path / name).write_text("one")
    one = digest_file(tmp_path / "z")
    assert list(digest_files(tmp_path).items()) == [("b/a", one), ("z", one)]
    memory = DigestMemory(tmp_path / "memory" / "digests.json")
    assert memory.digest_of(tmp_path / "b") == digest_value([[".cache/x", one], ["a", one]])


def test_a_file_is_read_again_only_after_a_change(tmp_path):
    (tmp_path / "file").write_text("one")
    (tmp_path / "memory.json").write_text("{damaged")
    memory = DigestMemory(tmp_path / "memory.json")
    digest = memory.digest_of(tmp_path / "file")
    memory.save()
    remembered = read_json(tmp_path / "memory.json")
    assert remembered[str((tmp_path / "file").resolve())][2] == digest
    remembered[str((tmp_path / "file").resolve())][2] = "remembered"
    write_json(tmp_path / "memory.json", remembered)
    memory = DigestMemory(tmp_path / "memory.json")
    assert memory.digest_of(tmp_path / "file") == "remembered"
    (tmp_path / "file").write_text("three")
    assert memory.digest_of(tmp_path / "file") == digest_file(tmp_path / "file")
