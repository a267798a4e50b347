"""What this machine has against what a profile needs; every shortfall with its remedy. Loads no torch, no Prefect."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from tasks.core.settings import Settings
from tasks.core.tools import tool_list

# GiB. Demo: measured. 7B: 15 hub download + 15 merged + 15 F16 + 5 quantized + adapters and checkpoints.
_DISK = {"demo": 4.0, "hub": 60.0}
_MEMORY = {"demo": 6.0, "hub": 24.0}
_PACKAGES = ("prefect", "torch", "transformers", "trl", "peft", "bitsandbytes", "datasets", "duckdb", "xllamacpp")


def examine(settings: Settings, home: Path) -> list[dict[str, Any]]:
    """One line per check: name, status (ok, warn, fail), detail, remedy."""
    need = _size(settings)
    return [
        _python(),
        _disk(home, _DISK[need]),
        _memory(_MEMORY[need]),
        _gpu(required=need != "demo"),
        _packages(),
        _compiler(),
        *_tools(home),
        _base(settings.model.base),
    ]


def disk_needed_gib(settings: Settings) -> float:
    """What a whole run of these settings writes."""
    return _DISK[_size(settings)]


def _size(settings: Settings) -> str:
    return "demo" if settings.model.base == "demo" else "hub"


def _line(name: str, status: str, detail: str, remedy: str = "") -> dict[str, Any]:
    return {"name": name, "status": status, "detail": detail, "remedy": remedy}


def _python() -> dict[str, Any]:
    good = (3, 11) <= sys.version_info < (3, 13)
    remedy = "" if good else "Use Python 3.11 or 3.12: `uv run --python 3.12 …`."
    return _line("python", "ok" if good else "fail", f"{platform.python_version()} on {platform.platform()}", remedy)


def _disk(home: Path, needed_gib: float) -> dict[str, Any]:
    existing = next(folder for folder in [home, *home.parents] if folder.exists())
    free_gib = shutil.disk_usage(existing).free / 2**30
    detail = f"{free_gib:.0f} GiB free under {existing}, {needed_gib:.0f} GiB needed"
    if free_gib >= needed_gib:
        return _line("disk", "ok", detail)
    return _line("disk", "fail", detail, "Free some (`kospilot artifacts gc`) or set KOSPILOT_HOME to a larger disk.")


def _memory(needed_gib: float) -> dict[str, Any]:
    total_gib = psutil.virtual_memory().total / 2**30
    detail = f"{total_gib:.0f} GiB, {needed_gib:.0f} GiB needed; {os.cpu_count()} cores"
    if total_gib >= needed_gib:
        return _line("memory", "ok", detail)
    return _line("memory", "warn", detail, "Close other programs, or use a machine with more memory.")


def _gpu(required: bool) -> dict[str, Any]:
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
        if answer.returncode == 0 and answer.stdout.strip():
            return _line("gpu", "ok", "; ".join(answer.stdout.strip().splitlines()))
    if required:
        return _line("gpu", "fail", "no NVIDIA GPU found", "Train on a machine with one, or run `kospilot demo`.")
    return _line("gpu", "ok", "none; the demo trains on the CPU")


def _packages() -> dict[str, Any]:
    found, missing = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return _line("packages", "fail", f"missing: {', '.join(missing)}", "Run `uv sync`.")
    return _line("packages", "ok", ", ".join(found))


def _compiler() -> dict[str, Any]:
    compiler = next((name for name in ("c++", "g++", "clang++") if shutil.which(name)), None)
    if compiler:
        return _line("compiler", "ok", shutil.which(compiler))
    return _line("compiler", "warn", "no C++ compiler; llama.cpp is built with one", "Install g++ or clang.")


def _tools(home: Path) -> list[dict[str, Any]]:
    lines = []
    for tool in tool_list(home):
        there = bool(tool["where"])
        detail = f"{tool['version']} at {tool['where']}" if there else tool["status"]
        remedy = "" if there else f"`kospilot tools install {tool['name']}`"
        lines.append(_line(tool["name"], "ok" if there else "warn", detail, remedy))
    return lines


def _base(location: str) -> dict[str, Any]:
    folder = Path(location).expanduser()
    if location == "demo" or folder.is_dir():
        return _line("base model", "ok", location)
    token = "with HF_TOKEN" if os.environ.get("HF_TOKEN") else "without HF_TOKEN"
    return _line("base model", "ok", f"{location}, from the hub {token}")
