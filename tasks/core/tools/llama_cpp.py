"""llama.cpp: its Hugging Face converter and its quantizer.

They are looked for in $KOSPILOT_LLAMA_CPP, on PATH, and in KOSPILOT_HOME/tools/llama.cpp-VERSION,
where `install_llama_cpp` builds them from source with the machine's C++ compiler.
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
from tasks.core.tools.compiler import find_compiler
from tasks.core.tools.llama_cpp_source import VERSION, fetch_source, unpack_source

_QUANTIZER = "llama-quantize"
_CONVERTER = "convert_hf_to_gguf.py"
_RECIPE = Path(__file__).with_name("llama_quantize")
_COMPILED = (
    "cmake/",
    "common/",
    "ggml/",
    "include/",
    "src/",
    "tools/quantize/",
    "vendor/",
    "CMakeLists.txt",
)
_KEPT = (_CONVERTER, "conversion/", "gguf-py/", "vendor/", "LICENSE")


@dataclass(frozen=True)
class LlamaCpp:
    """A usable llama.cpp."""

    version: str
    where: str  # the folder, or PATH
    quantize: Path
    converter: Path


def find_llama_cpp(home: Path) -> LlamaCpp | None:
    """Returns this machine's llama.cpp, or None if there is none.

    Raises RequestError if $KOSPILOT_LLAMA_CPP names an unusable folder.
    """
    named = os.environ.get("KOSPILOT_LLAMA_CPP")
    if named:
        return _in_named_folder(Path(named).expanduser())
    quantizer = shutil.which(_QUANTIZER)
    converter = shutil.which(_CONVERTER)
    if quantizer and converter:
        return LlamaCpp("unknown", "PATH", Path(quantizer), Path(converter))
    folder = _built_folder(home)
    if (folder / _QUANTIZER).is_file() and (folder / _CONVERTER).is_file():
        return _built(folder)
    return None


def ensure_llama_cpp(home: Path, progress: Progress) -> LlamaCpp:
    """Returns this machine's llama.cpp, and builds it first if there is none."""
    return find_llama_cpp(home) or install_llama_cpp(home, progress)


def install_llama_cpp(home: Path, progress: Progress) -> LlamaCpp:
    """Builds llama.cpp into `home`/tools unless it is there.

    That takes one to two minutes on two cores and needs a C++ compiler. If two processes want it at
    the same time, one builds and the other waits. Raises WorkError.
    """
    target = _built_folder(home)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not (target / _QUANTIZER).is_file():
            _check_compiler()
            archive = fetch_source(home, progress)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as folder:
                _build(archive, Path(folder), progress)
                shutil.rmtree(target, ignore_errors=True)
                os.rename(Path(folder) / "kept", target)
        progress(1.0, f"llama.cpp {VERSION} is in {target}")
    return _built(target)


def _built_folder(home: Path) -> Path:
    return home / "tools" / f"llama.cpp-{VERSION}"


def _built(folder: Path) -> LlamaCpp:
    return LlamaCpp(VERSION, str(folder), folder / _QUANTIZER, folder / _CONVERTER)


def _in_named_folder(folder: Path) -> LlamaCpp:
    quantizer = _below(folder, _QUANTIZER)
    converter = _below(folder, _CONVERTER)
    if quantizer and converter:
        return LlamaCpp("unknown", str(folder), quantizer, converter)
    missing = []
    if not quantizer:
        missing.append(_QUANTIZER)
    if not converter:
        missing.append(_CONVERTER)
    raise RequestError(
        f"KOSPILOT_LLAMA_CPP={folder} holds no {' and '.join(missing)} (nor its bin/ and"
        " build/bin/). Name a folder of llama.cpp that has both, or unset it and run"
        " `kospilot tools install llama.cpp`."
    )


def _below(folder: Path, program: str) -> Path | None:
    """Where a program lies in an unpacked or a built llama.cpp."""
    for parent in (folder, folder / "bin", folder / "build" / "bin"):
        if (parent / program).is_file():
            return parent / program
    return None


def _check_compiler() -> None:
    if find_compiler() is None:
        raise WorkError(
            "llama.cpp is built from source and there is no C++ compiler on PATH. Install one"
            " (`sudo apt install g++`; on macOS `xcode-select --install`) and run `kospilot tools"
            " install llama.cpp`, or set KOSPILOT_LLAMA_CPP to a folder of llama.cpp that is built"
            " already."
        )


def _build(archive: Path, folder: Path, progress: Progress) -> None:
    """Leaves a working llama.cpp in folder/kept."""
    source, build, kept = folder / "source", folder / "build", folder / "kept"
    unpack_source(archive, source, lambda path: path.startswith(_COMPILED))
    unpack_source(archive, kept, lambda path: path.startswith(_KEPT))
    progress(0.05, "configuring llama.cpp")
    _configure(source, build)
    _compile(build, progress)
    binary = kept / _QUANTIZER
    shutil.copy2(build / _QUANTIZER, binary)
    _check_answers(binary)


def _configure(source: Path, build: Path) -> None:
    # The quantizing loops are C. C++ only leads there, and it compiles in two thirds of the time if
    # it is not optimized.
    options = [
        "-DCMAKE_BUILD_TYPE=Release",
        "-DCMAKE_CXX_FLAGS_RELEASE=-O0",
        f"-DCMAKE_MAKE_PROGRAM={_program('ninja')}",
        f"-DLLAMA_CPP={source}",
        f"-DLLAMA_CPP_VERSION={VERSION}",
    ]
    run_child([_program("cmake"), "-S", _RECIPE, "-B", build, "-G", "Ninja", *options])


def _compile(build: Path, progress: Progress) -> None:
    def show(line: str) -> None:
        count = re.match(r"\[(\d+)/(\d+)\]", line)
        if count:
            done, total = int(count[1]), int(count[2])
            progress(0.1 + 0.85 * done / total, f"building llama.cpp: {done}/{total} files")

    run_child([_program("ninja"), "-C", build, _QUANTIZER], on_line=show)


def _check_answers(quantizer: Path) -> None:
    command = [str(quantizer), "--help"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "usage:" not in answer.stdout:  # its exit code is 1 for --help
        raise WorkError(f"llama-quantize was built and does not answer: {answer.stdout[-500:]!r}.")


def _program(name: str) -> Path:
    """Where cmake or ninja is: beside our Python, because we depend on both, else on PATH."""
    beside = Path(sysconfig.get_path("scripts")) / name
    if beside.is_file():
        return beside
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)
    raise WorkError(
        f"{name} is missing, beside {beside.parent} and on PATH: `pip install {name}` brings it."
    )
