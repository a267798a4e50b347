"""What this machine has against what a profile needs, and the remedy of every shortfall.

Loads no torch and no Prefect.
"""

import contextlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from tasks.core.errors import RequestError, WorkError
from tasks.core.market.folder import named_folder
from tasks.core.market.partitions import list_partitions
from tasks.core.preflight.disk import base_bytes, free_gib, needed_gib
from tasks.core.serving.servers import check_reachable, server_name
from tasks.core.settings.tree import Settings
from tasks.core.steps import chain
from tasks.core.tools import find_compiler, tool_list

_CPU_BASE_GIB = 2.0  # a larger base model is not trained on a CPU in a lifetime
_BF16_FROM = 8.0  # compute capability: Ampere and later
_PACKAGES = (
    "prefect", "torch", "transformers", "trl", "peft", "bitsandbytes", "datasets", "duckdb",
    "xllamacpp",
)  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One line of the examination."""

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    remedy: str = ""


def examine(settings: Settings, home: Path) -> list[Check]:
    """Everything that a whole run of these settings needs, one check each."""
    base = base_bytes(settings, home)
    return [
        _python(),
        _disk(home, needed_gib(base, chain(settings).values())),
        _memory(6 + 1.25 * base / 2**30),  # measured: the demo takes 6 GiB, a 7B 24
        check_gpu(required=base / 2**30 > _CPU_BASE_GIB),
        _packages(),
        _compiler(),
        *_tools(home),
        _server(home),
        _base(settings, base),
        _market(settings, home),
    ]


def _python() -> Check:
    detail = f"{platform.python_version()} on {platform.platform()}"
    if (3, 11) <= sys.version_info < (3, 13):
        return Check("python", "ok", detail)
    return Check("python", "fail", detail, "Use Python 3.11 or 3.12: `uv run --python 3.12 …`.")


def _disk(home: Path, needed: float) -> Check:
    free = free_gib(home)
    detail = f"{free:.0f} GiB free for {home}, {needed:.0f} GiB needed by a whole run"
    if free >= needed:
        return Check("disk", "ok", detail)
    remedy = "Free some (`kospilot artifacts gc`) or set KOSPILOT_HOME to a larger disk."
    return Check("disk", "fail", detail, remedy)


def _memory(needed: float) -> Check:
    total = psutil.virtual_memory().total / 2**30
    detail = f"{total:.0f} GiB, {needed:.0f} GiB needed; {os.cpu_count()} cores"
    if total >= needed:
        return Check("memory", "ok", detail)
    remedy = "Close other programs, or use a machine with more memory."
    return Check("memory", "warn", detail, remedy)


@dataclass(frozen=True)
class _Gpu:
    """One row of nvidia-smi's answer, unparsed."""

    name: str
    total_mib: str
    free_mib: str
    compute_capability: str
    driver: str

    @property
    def has_bf16(self) -> bool:
        return float(self.compute_capability) >= _BF16_FROM

    def described(self) -> str:
        bf16 = "bf16" if self.has_bf16 else "no bf16"
        return (
            f"{self.name}, {_gib(self.free_mib)} of {_gib(self.total_mib)} GiB free,"
            f" compute capability {self.compute_capability} ({bf16}), driver {self.driver}"
        )


def check_gpu(required: bool) -> Check:
    """The NVIDIA cards as the driver tells them: memory, and whether they compute in bf16."""
    gpus = _gpus()
    if not gpus and required:
        remedy = "Train on a machine with one, or run `kospilot demo`."
        return Check("gpu", "fail", "no NVIDIA GPU found", remedy)
    if not gpus:
        return Check("gpu", "ok", "none; a base model as small as this trains on the CPU")
    detail = "; ".join(gpu.described() for gpu in gpus)
    if all(gpu.has_bf16 for gpu in gpus):
        return Check("gpu", "ok", detail)
    remedy = "Without bf16 it trains in fp16 and not on kospilot's engine, so more slowly."
    return Check("gpu", "warn", detail, remedy)


def _gib(mib: str) -> str:
    """MiB as GiB; a card that shares the machine's memory names no number."""
    return f"{int(mib) / 1024:.1f}" if mib.isdecimal() else "?"


def _gpus() -> list[_Gpu]:
    """The machine's cards; none without a driver that answers."""
    if not shutil.which("nvidia-smi"):
        return []
    fields = "name,memory.total,memory.free,compute_cap,driver_version"
    query = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    if answer.returncode != 0:
        return []
    return [_Gpu(*row.split(", ")) for row in answer.stdout.splitlines() if row]


def _packages() -> Check:
    versions = []
    missing = []
    for name in _PACKAGES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # an extra
        versions.append(f"unsloth {importlib.metadata.version('unsloth')}")
    if missing:
        return Check("packages", "fail", f"missing: {', '.join(missing)}", "Run `uv sync`.")
    return Check("packages", "ok", ", ".join(versions))


def _compiler() -> Check:
    path = find_compiler()
    if path:
        return Check("compiler", "ok", path)
    detail = "no C++ compiler on PATH; llama.cpp is built with one"
    return Check(
        "compiler", "warn", detail, "Install g++ or clang, or let CXX name the one to use."
    )


def _tools(home: Path) -> list[Check]:
    checks = []
    for tool in tool_list(home):
        if tool.where:
            checks.append(Check(tool.name, "ok", f"{tool.version} at {tool.where}"))
        else:
            remedy = f"`kospilot tools install {tool.name}`"
            checks.append(Check(tool.name, "warn", tool.status, remedy))
    return checks


def _server(home: Path) -> Check:
    try:
        check_reachable()
    except WorkError as error:
        return Check("model server", "fail", server_name(home), str(error))
    return Check("model server", "ok", server_name(home))


def _market(settings: Settings, home: Path) -> Check:
    if settings.market.dir == "demo":
        return Check("market", "ok", "demo: generated, invented prices")
    folder = named_folder(settings.market, home)
    try:
        months = {(found.year, found.month) for found in list_partitions(folder)}
        return Check("market", "ok", f"{folder}, {len(months)} months")
    except RequestError as error:
        return Check("market", "fail", str(folder), str(error))


def _base(settings: Settings, size: int) -> Check:
    location = settings.model.base
    trained = f"training.quantize_base={settings.training.quantize_base}"
    folder = Path(location).expanduser()
    if not size:
        remedy = "Name a model: model.base=FOLDER."
        return Check("base model", "fail", f"{folder} holds no *.safetensors", remedy)
    if location == "demo" or folder.is_dir():
        return Check("base model", "ok", f"{location}, {trained}")
    token = "with HF_TOKEN" if os.environ.get("HF_TOKEN") else "without HF_TOKEN"
    return Check("base model", "ok", f"{location}, from the hub {token}, {trained}")
