"""What converting and quantizing cost beside llama.cpp's bare tools, and what each quantization is.

    uv run python tests/bench/quantize.py [--model FOLDER] [--runs 3] [--all]

Converts a Hugging Face model folder (by default the demo's SmolLM2-135M) to F16 and to Q4_K_M, by
the bare tools and by kospilot in turn, and prints the best times, their ratio and kospilot's limit:
1.10 times the bare tools and 2 s. --all prints size and real bits a weight of every quantization.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tasks.core.data.base_model.folder import fetch_base
from tasks.core.records.artifacts import no_progress
from tasks.core.records.quantizations import BITS
from tasks.core.release.gguf import convert
from tasks.core.release.quantization import Quantization
from tasks.core.release.quantize import quantize
from tasks.core.settings.home import kospilot_home
from tasks.core.tools import LlamaCpp, ensure_llama_cpp

F16 = "model-f16.gguf"


def bare(model: Path, llama: LlamaCpp, out: Path) -> None:
    """What a user would type."""
    converter = [sys.executable, str(llama.converter), str(model), "--outtype", "f16"]
    calls = (
        [*converter, "--outfile", str(out / F16)],
        [str(llama.quantize), str(out / F16), str(out / "model.gguf"), "Q4_K_M"],
    )
    for call in calls:
        subprocess.run(call, check=True, capture_output=True)


def ours(model: Path, llama: LlamaCpp, out: Path) -> None:
    """The same, checked."""
    convert(model, llama, out, no_progress)
    quantize(out / "model.gguf", out / F16, Quantization("Q4_K_M"), llama, no_progress)


@dataclass(frozen=True)
class Times:
    """Seconds on the clock, and seconds of all cores together, which other work disturbs less."""

    clock: float
    cores: float


def measure(work: Callable[[Path, LlamaCpp, Path], None], model: Path, llama: LlamaCpp) -> Times:
    with tempfile.TemporaryDirectory() as folder:
        clock, cores = time.perf_counter(), core_seconds()
        work(model, llama, Path(folder))
        return Times(time.perf_counter() - clock, core_seconds() - cores)


def core_seconds() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def print_times(model: Path, llama: LlamaCpp, runs: int) -> None:
    tools, kospilot = [], []
    for _ in range(runs):
        tools.append(measure(bare, model, llama))
        kospilot.append(measure(ours, model, llama))
    for unit in ("clock", "cores"):
        theirs = min(getattr(times, unit) for times in tools)
        mine = min(getattr(times, unit) for times in kospilot)
        ratio = f"{mine / theirs:.2f} times (limit {1.10 * theirs + 2:.2f} s)"
        print(f"{unit}: bare tools {theirs:.2f} s, kospilot {mine:.2f} s, {ratio}")


def print_quantizations(model: Path, llama: LlamaCpp) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        convert(model, llama, out, no_progress)
        for name in BITS:
            metrics = quantize(
                out / "model.gguf", out / F16, Quantization(name), llama, no_progress
            )
            types = ", ".join(f"{count} {kind}" for kind, count in metrics["tensor_types"].items())
            size = f"{metrics['bytes'] / 1e6:7,.1f} MB {metrics['bits_per_weight']:6.2f} bits"
            print(f"{name:7} {size}  {types}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # kospilot's own programs run without it
    home = kospilot_home()
    llama = ensure_llama_cpp(home, no_progress)
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or Path(folder) / "base"
        if options.model is None:
            fetch_base("demo", model, no_progress, home / "downloads")
        print_times(model, llama, options.runs)
        if options.all:
            print_quantizations(model, llama)


if __name__ == "__main__":
    main()
