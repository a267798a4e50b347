"""Files appear whole or not at all, and what they say can be read back or is named."""

import os

import pytest

from tasks.core.files.atomic import give_usual_modes, half_written, replacing, write_text
from tasks.core.files.digests import digest_file, digest_files, digest_value
from tasks.core.files.json_files import (
    LineError,
    append_line,
    numbered_lines,
    read_encoded,
    read_json,
    read_lines,
    read_whole_objects,
    write_encoded,
    write_json,
    write_lines,
)
from tasks.core.files.memory import DigestMemory


def test_an_error_leaves_the_old_file_and_no_neighbour(tmp_path):
    file = tmp_path / "new" / "file.txt"
    write_text(file, "국면")
    with pytest.raises(KeyboardInterrupt), replacing(file) as neighbour:
        neighbour.write_text("half")
        raise KeyboardInterrupt
    assert file.read_bytes() == "국면".encode()
    assert list(file.parent.iterdir()) == [file]


def test_two_containers_whose_processes_have_one_number_do_not_meet(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 12)
    file = tmp_path / "status.json"
    with replacing(file) as ours:
        ours.write_text("ours")
        with replacing(file) as theirs:
            theirs.write_text("theirs")
        assert half_written(tmp_path) == [ours]
    assert file.read_text() == "ours"


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


def test_line_numbers_count_empty_lines_and_a_mark_of_utf8_is_no_fault(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf"\xea\xb5\xad"\r\n \n[2]')
    assert list(numbered_lines(tmp_path / "a.jsonl")) == [(1, "국"), (3, [2])]
    for fault in (b"\xea\xb5", b"[" * 100_000):
        (tmp_path / "a.jsonl").write_bytes(b"[]\n" + fault)
        with pytest.raises(LineError, match=r"a\.jsonl, line 2 is not JSON: "):
            list(read_lines(tmp_path / "a.jsonl"))


def test_of_a_file_that_a_kill_tore_the_whole_objects_are_read(tmp_path):
    file = tmp_path / "a.jsonl"
    assert read_whole_objects(file) == []
    first, second = {"a": "국면\u2028"}, {"b": 2}
    append_line(file, first)
    append_line(file, second)
    whole = file.read_bytes()
    assert whole == '{"a": "국면\u2028"}\n{"b": 2}\n'.encode()
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        assert read_whole_objects(file) == [first, second][: whole[:size].count(b"}")]
    file.write_bytes(b'{"torn": \n' + whole)
    assert read_whole_objects(file) == [first, second]


def test_lines_that_stay_encoded_keep_their_bytes(tmp_path):
    write_lines(tmp_path / "a.jsonl", ["국면", {"b": 1}])
    write_encoded(tmp_path / "b.jsonl", read_encoded(tmp_path / "a.jsonl"))
    assert (tmp_path / "b.jsonl").read_bytes() == '"국면"\n{"b": 1}\n'.encode()


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
    assert remembered[str((tmp_path / "file").resolve())][-1] == digest
    remembered[str((tmp_path / "file").resolve())][-1] = "remembered"
    write_json(tmp_path / "memory.json", remembered)
    memory = DigestMemory(tmp_path / "memory.json")
    assert memory.digest_of(tmp_path / "file") == "remembered"
    (tmp_path / "file").write_text("three")
    assert memory.digest_of(tmp_path / "file") == digest_file(tmp_path / "file")


def test_files_get_the_mode_that_the_umask_gives(tmp_path):
    old = os.umask(0o027)
    try:
        for name in ("weights", "card"):
            (tmp_path / name).touch()
        (tmp_path / "weights").chmod(0o600)
        give_usual_modes(tmp_path)
    finally:
        os.umask(old)
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes == {"weights": 0o640, "card": 0o640}
