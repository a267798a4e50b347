"""What converting and quantizing cost beside llama.cpp's bare tools, and what each quantization is.

    uv run python tests/bench/quantize.py [--model FOLDER] [--runs 3] [--all]

Converts a Hugging Face model folder (by default the demo's SmolLM2-135M) to F16 and to Q4_K_M, by
the bare tools and by kospilot in turn, and prints the best times, their ratio and kospilot's limit:
1.10 times the bare tools and 2 s. --all prints size and real bits a weight of every quantization.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tasks.core.data.base_model.folder import fetch_base
from tasks.core.records.artifacts import no_progress
from tasks.core.records.quantizations import BITS
from tasks.core.release.gguf import convert
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
    quantize(out / F16, "Q4_K_M", llama, out, no_progress)


def seconds(work: Callable[[Path, LlamaCpp, Path], None], model: Path, llama: LlamaCpp) -> float:
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        work(model, llama, Path(folder))
        return time.perf_counter() - started


def print_times(model: Path, llama: LlamaCpp, runs: int) -> None:
    times: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(runs):
        times["bare"].append(seconds(bare, model, llama))
        times["ours"].append(seconds(ours, model, llama))
    tools, kospilot = min(times["bare"]), min(times["ours"])
    print(f"bare tools {tools:.2f} s, kospilot {kospilot:.2f} s, ratio {kospilot / tools:.2f};")
    print(f"limit {1.10 * tools + 2:.2f} s (1.10 times the bare tools and 2 s)")


def print_quantizations(model: Path, llama: LlamaCpp) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        convert(model, llama, out, no_progress)
        for name in BITS:
            metrics = quantize(out / F16, name, llama, out, no_progress)
            types = ", ".join(f"{count} {kind}" for kind, count in metrics["tensor_types"].items())
            size = f"{metrics['bytes'] / 1e6:7,.1f} MB {metrics['bits_per_weight']:6.2f} bits"
            print(f"{name:7} {size}  {types}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
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
