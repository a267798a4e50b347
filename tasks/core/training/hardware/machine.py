"""What this machine trains with: its device, its compute type, its memory and its speed."""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import psutil
import torch

_WORKSPACES_GIB = 0.5  # what the libraries take; the driver's context is not among free memory
MARGIN_GIB = 0.5 + _WORKSPACES_GIB
"""GiB of a card that are not for training: the driver's context and the libraries' workspaces."""


@dataclass(frozen=True)
class Speed:
    """How fast a machine is."""

    operations: float  # operations of 16-bit matrix products a second
    bandwidth: float  # bytes read or written a second
    start: float  # seconds that the processor takes to start a kernel


# not measured: if other programs run, a resumed run must still have the same micro-batches, and
# with them the same last bits
_CPU_SPEED = Speed(1e11, 1e10, 5e-6)


@dataclass(frozen=True)
class Machine:
    """The device that trains."""

    device: str  # cuda or cpu
    compute: torch.dtype  # the type of the base model's activations
    name: str
    memory_gib: float = 0.0  # all of the GPU's memory, free or not

    @property
    def optimizer(self) -> str:
        """transformers' name of the optimizer: 8-bit AdamW on a GPU, plain AdamW on a CPU."""
        return "adamw_bnb_8bit" if self.device == "cuda" else "adamw_torch"


def find_machine() -> Machine:
    """Returns the GPU if there is one, else the CPU.

    A GPU computes in bf16 if its hardware has bf16, else in fp16; a CPU in bf16 if its hardware has
    it, else in float32.
    """
    if not torch.cuda.is_available():
        return Machine("cpu", _cpu_type(), f"{torch.get_num_threads()} CPU threads")
    compute = torch.float16
    # a card older than Ampere emulates bf16, which is slow
    if torch.cuda.is_bf16_supported(including_emulation=False):
        compute = torch.bfloat16
    card = torch.cuda.get_device_properties(0)
    return Machine("cuda", compute, card.name, card.total_memory / 2**30)


def _cpu_type() -> torch.dtype:
    # if bf16 is emulated, products take 2.7 times as long as in float32 (measured on an Ice Lake)
    capabilities = torch.cpu.get_capabilities()
    if capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"):
        return torch.bfloat16
    return torch.float32


def memory_gib(machine: Machine) -> float:
    """Returns the GiB in use: the process's memory now on a CPU, the allocator's peak on a GPU."""
    if machine.device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return psutil.Process().memory_info().rss / 2**30


def peak_memory_gib(machine: Machine) -> float:
    """Returns the most GiB that this process has used so far."""
    if machine.device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    unit = 1024 if sys.platform == "linux" else 1  # ru_maxrss is KiB on Linux, bytes on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def limit_memory(gib: float) -> None:
    """Lets this process take no more than this of the card.

    If a plan is wrong, it must not take memory from others.
    """
    total = torch.cuda.get_device_properties(0).total_memory / 2**30
    torch.cuda.set_per_process_memory_fraction(min(1.0, gib / total))


def memory_left(machine: Machine) -> float:
    """Returns the share of the memory that can still be taken.

    On a card it is a share of what this process may take, on a CPU a share of the RAM.
    """
    if machine.device == "cuda":
        total = torch.cuda.get_device_properties(0).total_memory
        cap = torch.cuda.get_per_process_memory_fraction() * total
        return min(cap - torch.cuda.memory_reserved(), torch.cuda.mem_get_info()[0]) / cap
    ram = psutil.virtual_memory()
    return ram.available / ram.total


def temperature(machine: Machine) -> int | None:
    """Returns the card's temperature in °C; None if there is no card or its driver does not say."""
    if machine.device != "cuda":
        return None
    card = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
    query = ["nvidia-smi", "--query-gpu=temperature.gpu", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            [*query, "-i", card], capture_output=True, text=True, timeout=10, check=True
        )
        return int(answer.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def memory_cap(wanted_gib: float, machine: Machine) -> float:
    """Returns the GiB that training may take: training.memory_gib, or all that is free if it is 0.

    On a card it is no more than what is free. Call this before anything is put on the card.
    """
    if machine.device == "cuda":
        free = torch.cuda.mem_get_info()[0] / 2**30 - _WORKSPACES_GIB
        return min(wanted_gib or free, free)
    return wanted_gib or psutil.virtual_memory().available / 2**30 - MARGIN_GIB


@cache  # measured again, it might give a later trial another plan
def measure_speed(machine: Machine, hidden: int, intermediate: int) -> Speed:
    """Measures a GPU's speed, which takes a fraction of a second; assumes a CPU's.

    What is timed are matrix products and copies of the sizes that a layer of these widths has, and
    tiny kernels.
    """
    if machine.device == "cpu":
        return _CPU_SPEED
    rows, numbers = 4096, 2**27
    one = torch.randn(rows, hidden, dtype=machine.compute, device=machine.device)
    other = torch.randn(2 * intermediate, hidden, dtype=machine.compute, device=machine.device)
    source = torch.empty(numbers, dtype=torch.int16, device=machine.device)
    tiny = torch.zeros(1, device=machine.device)
    product = _seconds(lambda: one @ other.T)
    copy = _seconds(lambda: source.clone())
    # other programs disturb the measurement, so the least of five counts
    start = min(_seconds(lambda: tiny.add_(1), 400) for _ in range(5))
    return Speed(2 * rows * hidden * 2 * intermediate / product, 4 * numbers / copy, start)


def _seconds(work: Callable[[], object], times: int = 10) -> float:
    """Returns the average seconds of the work on the GPU, after three runs that are not counted."""
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(times):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - started) / times
