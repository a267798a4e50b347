"""What this machine trains with: its device, its compute type, its memory in use."""

import resource
import sys
from dataclasses import dataclass

import psutil
import torch


@dataclass(frozen=True)
class Machine:
    device: str  # cuda or cpu
    compute: torch.dtype  # of the base model's activations
    name: str
    memory_gib: float = 0.0  # of the GPU, all of it

    @property
    def optimizer(self) -> str:
        """transformers' name of the optimizer: 8-bit AdamW on a GPU, plain AdamW on a CPU."""
        return "adamw_bnb_8bit" if self.device == "cuda" else "adamw_torch"


def look() -> Machine:
    """The GPU if there is one (bf16 where it has it, else fp16), else the CPU in bf16."""
    if torch.cuda.is_available():
        compute = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        card = torch.cuda.get_device_properties(0)
        return Machine("cuda", compute, card.name, card.total_memory / 2**30)
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
