"""The machine's C++ compiler, with which llama.cpp and Ollama are built."""

import os
import shutil

_USUAL = ("c++", "g++", "clang++")


def find_compiler() -> str | None:
    """Returns the path of the compiler on PATH, or None if there is none.

    If CXX is set it is the one that CXX names, because CMake and Go then take no other. CXX may
    hold options after the name.
    """
    named = os.environ.get("CXX", "").split()
    for name in named[:1] or _USUAL:
        path = shutil.which(name)
        if path:
            return path
    return None
