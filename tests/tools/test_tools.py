"""Where tools are looked for, and what is said when one cannot be had."""

import io
import tarfile

import pytest

from tasks.core.errors import RequestError, WorkError
from tasks.core.tools import (
    Tool,
    find_compiler,
    find_llama_cpp,
    find_ollama,
    install_llama_cpp,
    install_ollama,
    tool_list,
)
from tasks.core.tools.llama_cpp_source import VERSION, fetch_source, unpack_source


def silent(share, text):
    pass


def put_program(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """A machine with no tool on PATH."""
    monkeypatch.delenv("KOSPILOT_LLAMA_CPP", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(put_program(tmp_path / "bin")))


def test_llama_cpp_is_looked_for_in_order(tmp_path, monkeypatch):
    home = tmp_path / "home"
    assert find_llama_cpp(home) is None
    built = put_program(
        home / "tools" / f"llama.cpp-{VERSION}", "llama-quantize", "convert_hf_to_gguf.py"
    )
    assert find_llama_cpp(home).where == str(built)
    put_program(tmp_path / "bin", "llama-quantize")
    assert find_llama_cpp(home).where == str(built), (
        "a quantizer on PATH without its converter is of no use"
    )
    put_program(tmp_path / "bin", "convert_hf_to_gguf.py")
    assert find_llama_cpp(home).where == "PATH"
    own = put_program(tmp_path / "own", "convert_hf_to_gguf.py")
    put_program(own / "build" / "bin", "llama-quantize")
    monkeypatch.setenv("KOSPILOT_LLAMA_CPP", str(own))
    assert find_llama_cpp(home).quantize == own / "build" / "bin" / "llama-quantize"


def test_a_named_folder_that_lacks_a_part_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("KOSPILOT_LLAMA_CPP", str(put_program(tmp_path / "own", "llama-quantize")))
    with pytest.raises(
        RequestError,
        match=r"own holds no convert_hf_to_gguf\.py .*kospilot tools install llama\.cpp",
    ):
        find_llama_cpp(tmp_path)


def test_the_compiler_is_the_one_that_cxx_names_else_the_usual_one(tmp_path, monkeypatch):
    assert find_compiler() is None
    put_program(tmp_path / "bin", "clang++", "g++", "own")
    assert find_compiler() == str(tmp_path / "bin" / "g++")
    monkeypatch.setenv("CXX", "own -O2")
    assert find_compiler() == str(tmp_path / "bin" / "own")
    monkeypatch.setenv("CXX", "gone")
    assert find_compiler() is None


def test_no_compiler(tmp_path):
    with pytest.raises(WorkError, match=r"no C\+\+ compiler on PATH.*apt install g\+\+"):
        install_llama_cpp(tmp_path, silent)
    assert find_llama_cpp(tmp_path) is None


def test_no_go_names_the_official_way(tmp_path):
    with pytest.raises(
        WorkError, match=r"needs Go 1\.24 or newer, and there is none.*ollama\.com/download"
    ):
        install_ollama(tmp_path, silent)
    assert find_ollama(tmp_path) is None


def test_an_old_go_is_named(tmp_path):
    go = put_program(tmp_path / "bin", "go") / "go"
    go.write_text("#!/bin/sh\necho go version go1.19.8 linux/amd64\n")
    with pytest.raises(WorkError, match=r"go is go version go1\.19\.8"):
        install_ollama(tmp_path, silent)


def test_tool_list_says_how_to_get_what_is_missing(tmp_path):
    assert tool_list(tmp_path) == [
        Tool(name, "", "", f"not here; `kospilot tools install {name}` builds it")
        for name in ("llama.cpp", "ollama")
    ]


def test_a_damaged_download_is_removed(tmp_path):
    archive = tmp_path / "downloads" / f"llama_cpp_python-{VERSION}.tar.gz"
    archive.parent.mkdir()
    archive.write_bytes(b"half")
    with pytest.raises(WorkError, match="was not what it should be .* and was removed"):
        fetch_source(tmp_path, silent)
    assert not archive.exists()


def write_archive(path, *members):
    with tarfile.open(path, "w:gz") as tar:
        for name, kind in members:
            member = tarfile.TarInfo(f"llama_cpp_python-{VERSION}/vendor/llama.cpp/{name}")
            member.type, member.size = kind, 3 if kind == tarfile.REGTYPE else 0
            member.linkname = "/etc/passwd"
            tar.addfile(member, io.BytesIO(b"abc") if kind == tarfile.REGTYPE else None)
    return path


def test_only_wanted_plain_files_are_unpacked(tmp_path):
    members = [
        ("src/a.cpp", tarfile.REGTYPE),
        ("docs/b.md", tarfile.REGTYPE),
        ("src/link", tarfile.SYMTYPE),
    ]
    archive = write_archive(tmp_path / "x.tar.gz", *members)
    unpack_source(archive, tmp_path / "out", lambda path: path.startswith("src/"))
    assert [
        str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*.*")
    ] == ["src/a.cpp"]


def test_a_path_that_leaves_its_folder_is_refused(tmp_path):
    archive = write_archive(tmp_path / "x.tar.gz", ("src/../../../evil.cpp", tarfile.REGTYPE))
    with pytest.raises(WorkError, match=r"leaves its folder: .*evil\.cpp"):
        unpack_source(archive, tmp_path / "out", lambda path: True)
    assert not list(tmp_path.rglob("evil.cpp"))
