"""The programs kospilot calls and does not ship: llama.cpp (converter and quantizer) and Ollama.

Looked for on this machine first; else built once into KOSPILOT_HOME/tools, one folder per version,
for all runs.
"""

from pathlib import Path

from tasks.core.tools.llama_cpp import LlamaCpp, ensure_llama_cpp, find_llama_cpp, install_llama_cpp
from tasks.core.tools.ollama import Ollama, find_ollama, install_ollama, version_of

__all__ = [
    "LlamaCpp",
    "Ollama",
    "ensure_llama_cpp",
    "find_llama_cpp",
    "find_ollama",
    "install_llama_cpp",
    "install_ollama",
    "tool_list",
]


def tool_list(home: Path) -> list[dict[str, str]]:
    """Each tool's name, version, where it was found ("" if it was not) and status in words."""
    llama, ollama = find_llama_cpp(home), find_ollama(home)
    return [
        _line("llama.cpp", llama.version if llama else "", llama.where if llama else ""),
        _line("ollama", version_of(ollama) if ollama else "", str(ollama.binary) if ollama else ""),
    ]


def _line(name: str, version: str, where: str) -> dict[str, str]:
    status = "ready" if where else f"not here; `kospilot tools install {name}` builds it"
    return {"name": name, "version": version, "where": where, "status": status}
