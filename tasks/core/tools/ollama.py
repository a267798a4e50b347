"""The Ollama program: on PATH, or built from Go's public modules into
KOSPILOT_HOME/tools/ollama-VERSION.

Building is for machines that cannot fetch the official archive. It needs Go and a C++ compiler, and
the Ollama that it makes serves on the CPU.
"""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from tasks.core.errors import WorkError
from tasks.core.processes.child import run_child
from tasks.core.records.artifacts import Progress
from tasks.core.tools.compiler import find_compiler
from tasks.core.tools.llama_cpp_source import fetch_source, unpack_source

VERSION = "0.17.4"
_MODULE = "github.com/ollama/ollama"
_GO_NEEDED = (1, 24)
_PACKAGES = 530  # lines of `go install -v`, about one for each package it compiles; counted once
_OFFICIAL = "https://ollama.com/download (Linux: curl -fsSL https://ollama.com/install.sh | sh)"


@dataclass(frozen=True)
class Ollama:
    """A usable Ollama program."""

    binary: Path


def find_ollama(home: Path) -> Ollama | None:
    """Returns this machine's Ollama, or None if there is none."""
    on_path = shutil.which("ollama")
    if on_path:
        return Ollama(Path(on_path))
    built = _built_folder(home) / "ollama"
    return Ollama(built) if built.is_file() else None


def version_of(ollama: Ollama) -> str:
    """Returns the version that the program prints, or "unknown" if it prints none."""
    command = [str(ollama.binary), "--version"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    version = re.search(r"version(?: is)? v?(\d[\w.\-]*)", answer.stdout + answer.stderr)
    return version[1] if version else "unknown"


def install_ollama(home: Path, progress: Progress) -> Ollama:
    """Builds Ollama into `home`/tools unless it is there, which takes about five minutes on two
    cores.

    Raises WorkError.
    """
    target = _built_folder(home)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not (target / "ollama").is_file():
            go = _find_go()
            _check_compiler()
            archive = fetch_source(home, progress)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as folder:
                _build(go, archive, Path(folder), progress)
                os.rename(Path(folder) / "bin", target)
        progress(1.0, f"Ollama {VERSION} is in {target}")
    return Ollama(target / "ollama")


def _built_folder(home: Path) -> Path:
    return home / "tools" / f"ollama-{VERSION}"


def _find_go() -> str:
    """Returns Go's command. Raises WorkError, which names the official way to get Ollama, if there
    is no Go or it is too old to build this version.
    """
    go = shutil.which("go")
    if go is None:
        raise WorkError(_needs_go("there is none on PATH"))
    command = [go, "version"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    version = re.search(r"go(\d+)\.(\d+)", answer)
    if version is None or (int(version[1]), int(version[2])) < _GO_NEEDED:
        raise WorkError(_needs_go(f"{go} is {answer.strip()}"))
    return go


def _needs_go(instead: str) -> str:
    major, minor = _GO_NEEDED
    return (
        f"Building Ollama needs Go {major}.{minor} or newer, and {instead}. Install Ollama the"
        f" official way instead: {_OFFICIAL}. Without Ollama the embedded server answers."
    )


def _check_compiler() -> None:
    if find_compiler() is None:
        raise WorkError(
            "Building Ollama needs a C++ compiler and there is none on PATH"
            f" (`sudo apt install g++`). Or install Ollama the official way: {_OFFICIAL}."
        )


def _build(go: str, archive: Path, folder: Path, progress: Progress) -> None:
    """Leaves the program in folder/bin/ollama.

    Go's modules come without folders called vendor, so the headers of nlohmann, miniaudio and stb
    are llama.cpp's.
    """
    unpack_source(archive, folder / "headers", lambda path: path.startswith("vendor/"))
    compiled = 0

    def show(line: str) -> None:
        nonlocal compiled
        if not line.startswith("go: "):
            compiled += 1
        share = min(1.0, compiled / _PACKAGES)
        progress(0.05 + 0.9 * share, f"building Ollama {VERSION}: {line[:60]}")

    # Without the version the program calls itself 0.0.0.
    link = f"-s -w -X {_MODULE}/version.Version={VERSION}"
    command = [go, "install", "-v", "-ldflags", link, f"{_MODULE}@v{VERSION}"]
    run_child(command, on_line=show, env=_build_environment(folder))
    run_child([folder / "bin" / "ollama", "--version"], env={"OLLAMA_HOST": "127.0.0.1:9"})


def _build_environment(folder: Path) -> dict[str, str]:
    # Without -modcacherw the modules are read-only and could not be removed.
    go_flags = f"{os.environ.get('GOFLAGS', '')} -modcacherw -trimpath"
    return {
        "GOPATH": str(folder / "go"),
        "GOBIN": str(folder / "bin"),
        "GOCACHE": str(folder / "cache"),
        "GOFLAGS": go_flags.strip(),
        "CGO_ENABLED": "1",
        "CGO_CPPFLAGS": f"-I{folder / 'headers' / 'vendor'}",
        "CGO_CFLAGS": _optimization(),
        "CGO_CXXFLAGS": _optimization(),
    }


def _optimization() -> str:
    """Compiler flags: AVX2 if the processor has it (Intel's since 2013, AMD's since 2015), else the
    compiler's default.

    Ollama's own archive brings a library for each processor; a plain build computes with SSE2 only,
    several times slower. It is not -march=native, because other machines may see the tools folder.
    """
    try:
        processor = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        processor = set()
    if {"avx2", "fma", "f16c", "bmi2"} <= processor:
        return "-O3 -march=x86-64-v3"
    return "-O3"
