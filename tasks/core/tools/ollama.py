"""The Ollama server: on PATH, or built from Go's public modules into
KOSPILOT_HOME/tools/ollama-VERSION.

Building is for machines that cannot fetch the official archive; it needs Go and a C++ compiler and
serves on the CPU.
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
from tasks.core.tools.source import fetch_source, unpack_source

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
    """The Ollama of this machine, or None."""
    if binary := shutil.which("ollama"):
        return Ollama(Path(binary))
    built = _folder(home) / "ollama"
    return Ollama(built) if built.is_file() else None


def version_of(ollama: Ollama) -> str:
    """What the program says its version is; "unknown" if it does not."""
    command = [str(ollama.binary), "--version"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    found = re.search(r"version(?: is)? v?(\d[\w.\-]*)", answer.stdout + answer.stderr)
    return found.group(1) if found else "unknown"


def install_ollama(home: Path, progress: Progress) -> Ollama:
    """Builds Ollama into `home`/tools unless it is there (about five minutes on two cores). Raises
    WorkError.
    """
    target = _folder(home)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not (target / "ollama").is_file():
            go = _find_go()
            archive = fetch_source(home, progress)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as folder:
                _build(go, archive, Path(folder), progress)
                os.rename(Path(folder) / "bin", target)
        progress(1.0, f"Ollama {VERSION} is in {target}")
    return Ollama(target / "ollama")


def _folder(home: Path) -> Path:
    return home / "tools" / f"ollama-{VERSION}"


def _find_go() -> str:
    """Go's command, if it is new enough to build this version; else the official way is what the
    error names.
    """
    go = shutil.which("go")
    said = (
        subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
        if go
        else ""
    )
    found = re.search(r"go(\d+)\.(\d+)", said)
    if not found or tuple(map(int, found.groups())) < _GO_NEEDED:
        have = f"{go} is {said.strip()}" if go else "there is none on PATH"
        raise WorkError(
            f"Building Ollama needs Go {'.'.join(map(str, _GO_NEEDED))} or newer, and {have}. Install Ollama the"
            f" official way instead: {_OFFICIAL}. Without Ollama the embedded server answers."
        )
    if not shutil.which(os.environ.get("CXX", "c++").split()[0]):
        raise WorkError(
            "Building Ollama needs a C++ compiler and there is none on PATH (`sudo apt install g++`)."
            f" Or install Ollama the official way: {_OFFICIAL}."
        )
    return go


def _build(go: str, archive: Path, folder: Path, progress: Progress) -> None:
    """Leaves the server in folder/bin/ollama.

    Go's modules come without folders called vendor, so the headers of nlohmann, miniaudio and stb
    are llama.cpp's.
    """
    unpack_source(archive, folder / "headers", lambda path: path.startswith("vendor/"))
    places = {"GOPATH": folder / "go", "GOBIN": folder / "bin", "GOCACHE": folder / "cache"}
    flags = (
        f"{os.environ.get('GOFLAGS', '')} -modcacherw -trimpath".strip()
    )  # else the modules cannot be removed
    env = {
        **{name: str(path) for name, path in places.items()},
        "GOFLAGS": flags,
        "CGO_ENABLED": "1",
        "CGO_CPPFLAGS": f"-I{folder / 'headers' / 'vendor'}",
        "CGO_CFLAGS": _optimization(),
        "CGO_CXXFLAGS": _optimization(),
    }
    compiled = 0

    def show(line: str) -> None:
        nonlocal compiled
        compiled += not line.startswith("go: ")
        progress(
            0.05 + 0.9 * min(1.0, compiled / _PACKAGES), f"building Ollama {VERSION}: {line[:60]}"
        )

    version = (
        f"-s -w -X {_MODULE}/version.Version={VERSION}"  # without it the server calls itself 0.0.0
    )
    run_child(
        [go, "install", "-v", "-ldflags", version, f"{_MODULE}@v{VERSION}"], on_line=show, env=env
    )
    run_child([folder / "bin" / "ollama", "--version"], env={"OLLAMA_HOST": "127.0.0.1:9"})


def _optimization() -> str:
    """Compiler flags: AVX2 where the processor has it (Intel since 2013, AMD since 2015), else the
    compiler's default.

    Ollama's own archive brings a library for each processor; a plain build computes with SSE2 only,
    several times slower. Not -march=native, because the tools folder may be seen by other machines.
    """
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        flags = set()
    return "-O3 -march=x86-64-v3" if {"avx2", "fma", "f16c", "bmi2"} <= flags else "-O3"
