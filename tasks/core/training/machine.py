"""What this machine trains with: its device, its compute type, its memory in use."""

import resource
import subprocess
import sys
from dataclasses import dataclass

import psutil
import torch


@dataclass(frozen=True)
class Machine:
    device: str  # cuda or cpu
    compute: torch.dtype  # of the base model's activations
    name: str

    @property
    def optimizer(self) -> str:
        """transformers' name of the optimizer: 8-bit AdamW on a GPU, plain AdamW on a CPU."""
        return "adamw_bnb_8bit" if self.device == "cuda" else "adamw_torch"


def look() -> Machine:
    """The GPU if there is one (bf16 where it has it, else fp16), else the CPU in bf16."""
    if torch.cuda.is_available():
        compute = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        return Machine("cuda", compute, torch.cuda.get_device_name(0))
    return Machine("cpu", torch.bfloat16, f"{torch.get_num_threads()} CPU threads")


def memory_gib(machine: Machine) -> float:
    """Memory in use now: the process's on a CPU, the allocator's peak on a GPU."""
    if machine.device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return psutil.Process().memory_info().rss / 2**30


def peak_memory_gib(machine: Machine) -> float:
    """The most memory used so far."""
    if machine.device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    unit = 1024 if sys.platform == "linux" else 1  # ru_maxrss is KiB on Linux, bytes on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def limit_memory(gib: float) -> None:
    """Lets this process take no more than this of the card: a plan that was wrong must not take it from others."""
    total = torch.cuda.get_device_properties(0).total_memory / 2**30
    torch.cuda.set_per_process_memory_fraction(min(1.0, gib / total))


def memory_left(machine: Machine) -> float:
    """Share of the memory that is still to be had: below the card's cap, or of a CPU's RAM."""
    if machine.device == "cuda":
        total = torch.cuda.get_device_properties(0).total_memory
        cap = torch.cuda.get_per_process_memory_fraction() * total
        return min(cap - torch.cuda.memory_reserved(), torch.cuda.mem_get_info()[0]) / cap
    ram = psutil.virtual_memory()
    return ram.available / ram.total


def temperature(machine: Machine) -> int | None:
    """Degrees Celsius of the card; None where there is none, or its driver does not say."""
    if machine.device != "cuda":
        return None
    card = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
    query = ["nvidia-smi", "--query-gpu=temperature.gpu", "--format=csv,noheader,nounits", "-i", card]
    try:
        return int(subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
