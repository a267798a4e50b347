"""The programs that kospilot calls and does not ship: llama.cpp (converter and quantizer) and
Ollama.

Each is looked for on this machine first, else built once into KOSPILOT_HOME/tools, one folder per
version, for all runs.
"""

from pathlib import Path

from tasks.core.tools.compiler import find_compiler
from tasks.core.tools.llama_cpp import LlamaCpp, ensure_llama_cpp, find_llama_cpp, install_llama_cpp
from tasks.core.tools.ollama import Ollama, find_ollama, install_ollama, version_of

__all__ = [
    "LlamaCpp",
    "Ollama",
    "ensure_llama_cpp",
    "find_compiler",
    "find_llama_cpp",
    "find_ollama",
    "install_llama_cpp",
    "install_ollama",
    "tool_list",
]


def tool_list(home: Path) -> list[dict[str, str]]:
    """Returns each tool's name, version, place ("" if it is not here) and status in words."""
    return [_llama_cpp_status(home), _ollama_status(home)]


def _llama_cpp_status(home: Path) -> dict[str, str]:
    llama = find_llama_cpp(home)
    if llama is None:
        return _missing("llama.cpp")
    return _ready("llama.cpp", llama.version, llama.where)


def _ollama_status(home: Path) -> dict[str, str]:
    ollama = find_ollama(home)
    if ollama is None:
        return _missing("ollama")
    return _ready("ollama", version_of(ollama), str(ollama.binary))


def _ready(name: str, version: str, where: str) -> dict[str, str]:
    return {"name": name, "version": version, "where": where, "status": "ready"}


def _missing(name: str) -> dict[str, str]:
    status = f"not here; `kospilot tools install {name}` builds it"
    return {"name": name, "version": "", "where": "", "status": status}
