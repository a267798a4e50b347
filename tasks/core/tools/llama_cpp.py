"""llama.cpp: its Hugging Face converter and its quantizer.

Looked for in $KOSPILOT_LLAMA_CPP, on PATH, then in KOSPILOT_HOME/tools/llama.cpp-VERSION, where
`install_llama_cpp` builds it from source with the machine's C++ compiler.
"""

import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from tasks.core.errors import RequestError, WorkError
from tasks.core.processes.child import run_child
from tasks.core.records.artifacts import Progress
from tasks.core.tools.source import VERSION, fetch_source, unpack_source

_CONVERTER = "convert_hf_to_gguf.py"
_RECIPE = Path(__file__).with_name("llama_quantize")
_SOURCES = ("cmake/", "common/", "ggml/", "include/", "src/", "tools/quantize/", "vendor/")
_KEPT = (_CONVERTER, "conversion/", "gguf-py/", "vendor/", "LICENSE")


@dataclass(frozen=True)
class LlamaCpp:
    """A usable llama.cpp."""

    version: str
    where: str  # the folder, or PATH
    quantize: Path
    converter: Path


def find_llama_cpp(home: Path) -> LlamaCpp | None:
    """The llama.cpp of this machine, or None. Raises RequestError if $KOSPILOT_LLAMA_CPP names an
    unusable folder.
    """
    if folder := os.environ.get("KOSPILOT_LLAMA_CPP"):
        return _named(Path(folder).expanduser())
    quantize, converter = shutil.which("llama-quantize"), shutil.which(_CONVERTER)
    if quantize and converter:
        return LlamaCpp("unknown", "PATH", Path(quantize), Path(converter))
    built = _folder(home)
    if (built / "llama-quantize").is_file() and (built / _CONVERTER).is_file():
        return LlamaCpp(VERSION, str(built), built / "llama-quantize", built / _CONVERTER)
    return None


def ensure_llama_cpp(home: Path, progress: Progress) -> LlamaCpp:
    """The llama.cpp of this machine; built first where there is none."""
    return find_llama_cpp(home) or install_llama_cpp(home, progress)


def install_llama_cpp(home: Path, progress: Progress) -> LlamaCpp:
    """Builds llama.cpp into `home`/tools unless it is there (one to two minutes on two cores, C++
    compiler needed).

    Two processes that want it at a time: one builds, the other waits. Raises WorkError.
    """
    target = _folder(home)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not (target / "llama-quantize").is_file():
            _check_compiler()
            archive = fetch_source(home, progress)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as folder:
                _build(archive, Path(folder), progress)
                shutil.rmtree(target, ignore_errors=True)
                os.rename(Path(folder) / "kept", target)
        progress(1.0, f"llama.cpp {VERSION} is in {target}")
    return LlamaCpp(VERSION, str(target), target / "llama-quantize", target / _CONVERTER)


def _folder(home: Path) -> Path:
    return home / "tools" / f"llama.cpp-{VERSION}"


def _named(folder: Path) -> LlamaCpp:
    places = [folder, folder / "bin", folder / "build" / "bin"]
    quantize = next(
        (place / "llama-quantize" for place in places if (place / "llama-quantize").is_file()), None
    )
    converter = next(
        (place / _CONVERTER for place in places if (place / _CONVERTER).is_file()), None
    )
    if quantize and converter:
        return LlamaCpp("unknown", str(folder), quantize, converter)
    missing = " and ".join(
        name for name, path in (("llama-quantize", quantize), (_CONVERTER, converter)) if not path
    )
    raise RequestError(
        f"KOSPILOT_LLAMA_CPP={folder} holds no {missing} (nor its bin/ and build/bin/). Name a folder of llama.cpp"
        " that has both, or unset it and run `kospilot tools install llama.cpp`."
    )


def _check_compiler() -> None:
    named = os.environ.get("CXX", "").split()[:1]
    if not any(shutil.which(name) for name in [*named, "c++", "g++", "clang++"]):
        raise WorkError(
            "llama.cpp is built from source and there is no C++ compiler on PATH. Install one (`sudo apt install g++`;"
            " on macOS `xcode-select --install`) and run `kospilot tools install llama.cpp`, or set"
            " KOSPILOT_LLAMA_CPP to a folder of llama.cpp that is built already."
        )


def _build(archive: Path, folder: Path, progress: Progress) -> None:
    """Leaves a working llama.cpp in folder/kept."""
    source, kept = folder / "source", folder / "kept"
    unpack_source(
        archive, source, lambda path: path.startswith(_SOURCES) or path == "CMakeLists.txt"
    )
    unpack_source(archive, kept, lambda path: path.startswith(_KEPT))
    # The quantizing loops are C: C++ is only the way there, and unoptimized it compiles in two
    # thirds of the time.
    options = [
        "-DCMAKE_BUILD_TYPE=Release",
        "-DCMAKE_CXX_FLAGS_RELEASE=-O0",
        f"-DCMAKE_MAKE_PROGRAM={_program('ninja')}",
        f"-DLLAMA_CPP={source}",
        f"-DLLAMA_CPP_VERSION={VERSION}",
    ]
    progress(0.05, "configuring llama.cpp")
    run_child([_program("cmake"), "-S", _RECIPE, "-B", folder / "build", "-G", "Ninja", *options])

    def show(line: str) -> None:
        if found := re.match(r"\[(\d+)/(\d+)\]", line):
            done, total = map(int, found.groups())
            progress(0.1 + 0.85 * done / total, f"building llama.cpp: {done}/{total} files")

    run_child([_program("ninja"), "-C", folder / "build", "llama-quantize"], on_line=show)
    binary = kept / "llama-quantize"
    shutil.copy2(folder / "build" / "llama-quantize", binary)
    said = subprocess.run(
        [binary, "--help"], capture_output=True, text=True, timeout=60, check=False
    ).stdout
    if "usage:" not in said:  # its exit code is 1 for --help
        raise WorkError(f"llama-quantize was built and does not answer: {said[-500:]!r}.")


def _program(name: str) -> Path:
    """cmake and ninja are packages of ours, so they lie beside our Python; else the machine's own."""
    ours = Path(sysconfig.get_path("scripts")) / name
    found = str(ours) if ours.is_file() else shutil.which(name)
    if not found:
        raise WorkError(
            f"{name} is missing, beside {ours.parent} and on PATH: `pip install {name}` brings it."
        )
    return Path(found)
