"""The programs that kospilot calls and does not ship: llama.cpp (converter and quantizer) and
Ollama.

Each is looked for on this machine first, else built once into KOSPILOT_HOME/tools, one folder per
version, for all runs.
"""

from dataclasses import dataclass
from pathlib import Path

from tasks.core.tools.compiler import find_compiler
from tasks.core.tools.llama_cpp import LlamaCpp, ensure_llama_cpp, find_llama_cpp, install_llama_cpp
from tasks.core.tools.ollama import Ollama, find_ollama, install_ollama, version_of

__all__ = [
    "LlamaCpp",
    "Ollama",
    "Tool",
    "ensure_llama_cpp",
    "find_compiler",
    "find_llama_cpp",
    "find_ollama",
    "install_llama_cpp",
    "install_ollama",
    "tool_list",
]


@dataclass(frozen=True)
class Tool:
    """What is known of one program on this machine."""

    name: str
    version: str = ""
    where: str = ""  # empty if it is not here
    status: str = "ready"


def tool_list(home: Path) -> list[Tool]:
    """Returns both tools, those that are not here too."""
    return [_llama_cpp_tool(home), _ollama_tool(home)]


def _llama_cpp_tool(home: Path) -> Tool:
    llama = find_llama_cpp(home)
    if llama is None:
        return _missing("llama.cpp")
    return Tool("llama.cpp", llama.version, llama.where)


def _ollama_tool(home: Path) -> Tool:
    ollama = find_ollama(home)
    if ollama is None:
        return _missing("ollama")
    return Tool("ollama", version_of(ollama), str(ollama.binary))


def _missing(name: str) -> Tool:
    return Tool(name, status=f"not here; `kospilot tools install {name}` builds it")
