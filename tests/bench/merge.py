"""How long a merge takes beside copying the model, and how much memory: prints seconds, the ratio
to copying and the peak of each, and whether PEFT's own merge gives the same tensors.

    uv run python tests/bench/merge.py [--layers 3] [--vocabulary 19000] [--times 3] [--dora]
        [--keep FOLDER]

Makes a random base of Qwen2.5-7B's layers (3,584 wide, 18,944 within) with an adapter of rank 16 on
all of them; three layers and 19,000 tokens have the 7B's share of adapted weights. Each measurement
is a process of its own, and the least of its times counts.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import safe_open
from transformers import AutoModelForCausalLM, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from tasks.core.records.training_base import TrainingBase
from tasks.core.release import nf4
from tasks.core.release.base_weights import Base, open_base

MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
NF4 = '{"quantization": "nf4", "compute_type": "bfloat16"}'

# what each process does; it prints its seconds, those of processors, and its peak in bytes
MERGE = """
import json, sys, time
from pathlib import Path
from tasks.core.records.training_base import TrainingBase
from tasks.core.release.merge import merge
base, adapter, out, trained = sys.argv[1:]
trained = TrainingBase(**json.loads(trained)) if trained else None
start = time.perf_counter(), time.process_time()
merge(Path(base), Path(adapter), Path(out), lambda share, text: None, trained)
print(time.perf_counter() - start[0], time.process_time() - start[1])
print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])
"""
COPY = """
import shutil, sys, time
from pathlib import Path
start = time.perf_counter(), time.process_time()
shutil.copytree(sys.argv[1], sys.argv[3], dirs_exist_ok=True)
print(time.perf_counter() - start[0], time.process_time() - start[1])
print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])
"""
VALUES = """
import json, math, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tasks.core.records.training_base import TrainingBase
from tasks.core.release.base_weights import open_base
from tasks.core.release.merged_shards import _THREADS, _keep_freed_memory
from tasks.core.release.training_values import is_quantized_by, values_of
def compute(weight):
    if not is_quantized_by(trained, weight):
        return
    read = values_of(weight, trained).read
    size = 2 * math.prod(weight.shape)
    for begin in range(0, size, 1 << 19):
        read(begin, min(begin + (1 << 19), size))
trained = TrainingBase(**json.loads(sys.argv[4]))
base = open_base(Path(sys.argv[1]))
start = time.perf_counter(), time.process_time()
_keep_freed_memory()
with ThreadPoolExecutor(_THREADS) as pool:
    for _ in pool.map(compute, base.weights.values()):
        pass
print(time.perf_counter() - start[0], time.process_time() - start[1])
print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])
"""


def make_base(folder: Path, layers: int, vocabulary: int) -> None:
    """Writes a random model in bfloat16 of the 7B's shape, in shards of 1 GB."""
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=3584,
        intermediate_size=18944,
        num_hidden_layers=layers,
        num_attention_heads=28,
        num_key_value_heads=4,
    )
    torch.manual_seed(1)
    torch.set_default_dtype(torch.bfloat16)
    Qwen2ForCausalLM(config).save_pretrained(folder, max_shard_size="1GB")
    torch.set_default_dtype(torch.float32)


def make_adapter(base: Path, folder: Path, dora: bool) -> None:
    """Writes an adapter whose matrices are as large as trained ones."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    config = LoraConfig(r=16, lora_alpha=32, target_modules=MODULES, use_dora=dora)
    policy = get_peft_model(model, config)
    for name, parameter in policy.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn(parameter.shape) * 0.01
    policy.save_pretrained(folder)


@dataclass(frozen=True)
class Measured:
    seconds: float
    of_processors: float  # the sum over all threads, which other work on the machine leaves alone
    peak_gb: float


def measure(program: str, folder: Path, trained: str, times: int) -> Measured:
    """What a process takes that leaves its model in folder/out."""
    out = folder / "out"
    runs = []
    for _ in range(times):
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        command = [sys.executable, "-c", program]
        arguments = [str(folder / "base"), str(folder / "adapter"), str(out), trained]
        done = subprocess.run(command + arguments, check=True, capture_output=True, text=True)
        runs.append([float(figure) for figure in done.stdout.split()[-3:]])
    return Measured(
        min(run[0] for run in runs), min(run[1] for run in runs), max(run[2] for run in runs) / 1e6
    )


def differences(folder: Path, quantized: bool) -> tuple[int, int, int]:
    """Values of folder/out that PEFT's merge of the same values gives otherwise: how many, of how
    many, and by how many units in the last place at most.
    """
    model = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)
    if quantized:
        quantize(model, open_base(folder / "base"))
    policy = PeftModel.from_pretrained(model, folder / "adapter")
    theirs = policy.merge_and_unload().half().state_dict()
    different = total = furthest = 0
    for file in sorted((folder / "out").glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  it is no dictionary
                ours = tensors.get_tensor(name)
                steps = (_ordered(ours) - _ordered(theirs[name])).abs()
                different += int((steps > 0).sum())
                total += ours.numel()
                furthest = max(furthest, int(steps.max()))
    return different, total, furthest


def quantize(model: PreTrainedModel, base: Base) -> None:
    """Gives the linear layers of a model NF4's values, those of kospilot."""
    trained = TrainingBase(**json.loads(NF4))
    for name, parameter in model.named_parameters():
        if any(f".{module}.weight" in name for module in MODULES):
            read = next(nf4.quantized(base.weights[name], trained))
            values = read(0, 2 * parameter.numel())
            bfloat16 = torch.frombuffer(values, dtype=torch.bfloat16)
            parameter.data = bfloat16.float().reshape(parameter.shape)


def _ordered(tensor: torch.Tensor) -> torch.Tensor:
    """F16 values as whole numbers in their order, one for each that can be written."""
    bits = tensor.view(torch.int16).to(torch.int32)
    return torch.where(bits < 0, -(bits & 0x7FFF), bits)


def show(what: str, figures: Measured, copying: Measured) -> None:
    ratio = figures.seconds / copying.seconds
    print(
        f"{what:24} {figures.seconds:7.2f} s, {ratio:5.2f} x copying,"
        f" {figures.of_processors:7.2f} s of processors, {figures.peak_gb:5.2f} GB at peak"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--vocabulary", type=int, default=19_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--dora", action="store_true")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="bench-merge-"))
    if not (folder / "base").exists():
        make_base(folder / "base", options.layers, options.vocabulary)
        make_adapter(folder / "base", folder / "adapter", options.dora)
    size = sum(file.stat().st_size for file in (folder / "base").glob("*.safetensors"))
    print(f"a model of {size / 1e9:.2f} GB, {torch.get_num_threads()} threads")

    copied = measure(COPY, folder, "", options.times)
    show("copying", copied, copied)
    show("merge into 16 bit", measure(MERGE, folder, "", options.times), copied)
    print_differences(folder, quantized=False)
    show("NF4's values alone", measure(VALUES, folder, NF4, options.times), copied)
    show("merge into NF4's values", measure(MERGE, folder, NF4, options.times), copied)
    print_differences(folder, quantized=True)
    if not options.keep:
        shutil.rmtree(folder)


def print_differences(folder: Path, quantized: bool) -> None:
    different, total, furthest = differences(folder, quantized)
    print(
        f"    against PEFT: {different:,} of {total:,} values differ, by {furthest} units in the"
        " last place at most"
    )


if __name__ == "__main__":
    main()
