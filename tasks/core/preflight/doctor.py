"""What this machine has against what a profile needs; every shortfall with its remedy. Loads no
torch, no Prefect.
"""

import contextlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from tasks.core.chain.run import market_folder
from tasks.core.chain.steps import chain
from tasks.core.errors import RequestError, WorkError
from tasks.core.market.files import market_files
from tasks.core.preflight.disk import base_bytes, free_gib, needed_gib
from tasks.core.serving.servers import check_reachable, server_name
from tasks.core.settings.tree import Settings
from tasks.core.tools import tool_list

_CPU_BASE_GIB = 2.0  # a larger base model is not trained on a CPU in a lifetime
_BF16_FROM = 8.0  # compute capability: Ampere and later
_PACKAGES = (
    "prefect",
    "torch",
    "transformers",
    "trl",
    "peft",
    "bitsandbytes",
    "datasets",
    "duckdb",
    "xllamacpp",
)


def examine(settings: Settings, home: Path) -> list[dict[str, Any]]:
    """One line per check: name, status (ok, warn, fail), detail, remedy."""
    base = base_bytes(settings, home)
    return [
        _python(),
        _disk(home, needed_gib(base, chain(settings))),
        _memory(6 + 1.25 * base / 2**30),  # measured: the demo 6 GiB; a 7B wants 24
        check_gpu(required=base / 2**30 > _CPU_BASE_GIB),
        _packages(),
        _compiler(),
        *_tools(home),
        _server(home),
        _base(settings.model.base, base),
        _market(settings, home),
    ]


def _line(name: str, status: str, detail: str, remedy: str = "") -> dict[str, Any]:
    return {"name": name, "status": status, "detail": detail, "remedy": remedy}


def _python() -> dict[str, Any]:
    good = (3, 11) <= sys.version_info < (3, 13)
    remedy = "" if good else "Use Python 3.11 or 3.12: `uv run --python 3.12 …`."
    return _line(
        "python",
        "ok" if good else "fail",
        f"{platform.python_version()} on {platform.platform()}",
        remedy,
    )


def _disk(home: Path, needed: float) -> dict[str, Any]:
    free = free_gib(home)
    detail = f"{free:.0f} GiB free for {home}, {needed:.0f} GiB needed by a whole run"
    if free >= needed:
        return _line("disk", "ok", detail)
    return _line(
        "disk",
        "fail",
        detail,
        "Free some (`kospilot artifacts gc`) or set KOSPILOT_HOME to a larger disk.",
    )


def _memory(needed_gib: float) -> dict[str, Any]:
    total_gib = psutil.virtual_memory().total / 2**30
    detail = f"{total_gib:.0f} GiB, {needed_gib:.0f} GiB needed; {os.cpu_count()} cores"
    if total_gib >= needed_gib:
        return _line("memory", "ok", detail)
    return _line(
        "memory", "warn", detail, "Close other programs, or use a machine with more memory."
    )


def check_gpu(required: bool) -> dict[str, Any]:
    """The NVIDIA cards as the driver tells them: memory, and whether they compute in bf16."""
    cards = _cards()
    if not cards:
        if required:
            return _line(
                "gpu",
                "fail",
                "no NVIDIA GPU found",
                "Train on a machine with one, or run `kospilot demo`.",
            )
        return _line("gpu", "ok", "none; a base model as small as this trains on the CPU")
    detail = "; ".join(
        f"{name}, {_gib(free)} of {_gib(total)} GiB free, compute capability {capability}"
        f" ({'bf16' if float(capability) >= _BF16_FROM else 'no bf16'}), driver {driver}"
        for name, total, free, capability, driver in cards
    )
    if all(float(card[3]) >= _BF16_FROM for card in cards):
        return _line("gpu", "ok", detail)
    return _line(
        "gpu",
        "warn",
        detail,
        "Without bf16 it trains in fp16 and not on kospilot's engine, so more slowly.",
    )


def _gib(mib: str) -> str:
    return (
        f"{int(mib) / 1024:.1f}" if mib.isdecimal() else "?"
    )  # a card that shares the machine's memory names none


def _cards() -> list[list[str]]:
    """Per card: name, MiB in all, MiB free, compute capability, driver. Empty without a driver that
    answers.
    """
    if not shutil.which("nvidia-smi"):
        return []
    wanted = "name,memory.total,memory.free,compute_cap,driver_version"
    query = ["nvidia-smi", f"--query-gpu={wanted}", "--format=csv,noheader,nounits"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    return (
        [line.split(", ") for line in answer.stdout.splitlines() if line]
        if answer.returncode == 0
        else []
    )


def _packages() -> dict[str, Any]:
    found, missing = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # an extra
        found.append(f"unsloth {importlib.metadata.version('unsloth')}")
    if missing:
        return _line("packages", "fail", f"missing: {', '.join(missing)}", "Run `uv sync`.")
    return _line("packages", "ok", ", ".join(found))


def _compiler() -> dict[str, Any]:
    compiler = next((name for name in ("c++", "g++", "clang++") if shutil.which(name)), None)
    if compiler:
        return _line("compiler", "ok", shutil.which(compiler))
    return _line(
        "compiler", "warn", "no C++ compiler; llama.cpp is built with one", "Install g++ or clang."
    )


def _tools(home: Path) -> list[dict[str, Any]]:
    lines = []
    for tool in tool_list(home):
        there = bool(tool["where"])
        detail = f"{tool['version']} at {tool['where']}" if there else tool["status"]
        remedy = "" if there else f"`kospilot tools install {tool['name']}`"
        lines.append(_line(tool["name"], "ok" if there else "warn", detail, remedy))
    return lines


def _server(home: Path) -> dict[str, Any]:
    try:
        check_reachable()
    except WorkError as error:
        return _line("model server", "fail", server_name(home), str(error))
    return _line("model server", "ok", server_name(home))


def _market(settings: Settings, home: Path) -> dict[str, Any]:
    folder = market_folder(settings.market, home)
    if settings.market.dir == "demo":
        return _line("market", "ok", "demo: generated, invented prices")
    try:
        return _line("market", "ok", f"{folder}, {len(market_files(folder))} months")
    except RequestError as error:
        return _line("market", "fail", str(folder), str(error))


def _base(location: str, size: int) -> dict[str, Any]:
    folder = Path(location).expanduser()
    if not size:
        return _line(
            "base model",
            "fail",
            f"{folder} holds no *.safetensors",
            "Name a model: model.base=FOLDER.",
        )
    if location == "demo" or folder.is_dir():
        return _line("base model", "ok", location)
    token = "with HF_TOKEN" if os.environ.get("HF_TOKEN") else "without HF_TOKEN"
    return _line("base model", "ok", f"{location}, from the hub {token}")
