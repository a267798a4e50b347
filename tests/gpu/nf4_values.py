"""Whether a CPU and a GPU make the same NF4 of the same weights, bit for bit.

python tests/gpu/nf4_values.py BASE [--second cuda|cpu] [--threads N] [--seed N]

Quantizes each linear weight of BASE (a folder with .safetensors), and random tensors of the shapes
of a layer of Qwen2.5-7B, in bf16, on the CPU and on the second device, as bitsandbytes' functions
do it for a Linear4bit with double quantization. Prints a line for each tensor and a summary. Needs
torch, bitsandbytes, numpy and safetensors only.

What is compared, in the order in which it is made:
    codes    packed 4-bit codes
    absmax   scales of the blocks of 64, float32
    mean     their mean, which double quantization takes off them: a sum, whose last bits depend on
             the order of its terms. `exact` says whether the mean that is summed in float64 and
             then rounded is the same on both.
    scales   8-bit codes of the scales
    values   what the codes stand for, dequantized
    crossed  the first device's codes and scales, dequantized on the second one
`--threads` sets the threads of the second run, so that a CPU can be compared with itself.
"""

import argparse
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bitsandbytes
import numpy as np
import torch
from bitsandbytes.functional import QuantState, dequantize_4bit, quantize_4bit
from safetensors import safe_open

LAYER = {
    "q_proj, o_proj": (3584, 3584),
    "k_proj, v_proj": (512, 3584),
    "gate_proj, up_proj": (18944, 3584),
    "down_proj": (3584, 18944),
}
PARTS = ("codes", "absmax", "mean", "exact", "scales", "values", "crossed")


@dataclass(frozen=True)
class Nf4:
    """A tensor in NF4, all of it on the CPU again."""

    codes: torch.Tensor
    absmax: torch.Tensor
    mean: torch.Tensor
    exact: torch.Tensor
    scales: torch.Tensor
    values: torch.Tensor


@dataclass(frozen=True)
class Difference:
    """How two tensors differ."""

    count: int
    of: int
    most: float  # largest difference of two values; NaN for bits that are no numbers
    relative: float  # the same, as a share of the value


def linear_weights(base: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Yields the weights of a decoder's linear layers, without embeddings and head."""
    for file in sorted(base.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in sorted(tensors.keys()):
                if name.endswith("_proj.weight"):
                    yield name, tensors.get_tensor(name).to(torch.bfloat16)


def random_weights(seed: int) -> Iterator[tuple[str, torch.Tensor]]:
    """Yields random weights of a 7B's shapes, as large as a trained model's."""
    generator = torch.Generator().manual_seed(seed)
    for name, shape in LAYER.items():
        weight = torch.randn(shape, generator=generator) * 0.02
        yield f"random {name} {shape[0]}x{shape[1]}", weight.to(torch.bfloat16)


def quantize(weight: torch.Tensor, device: str) -> tuple[Nf4, QuantState]:
    """Quantizes a weight and turns it back, on a device."""
    there = weight.to(device)
    _, plain = quantize_4bit(there, quant_type="nf4", compress_statistics=False)
    codes, state = quantize_4bit(there, quant_type="nf4", compress_statistics=True)
    values = dequantize_4bit(codes, state)
    return Nf4(
        codes.cpu(),
        plain.absmax.cpu(),
        state.offset.cpu(),
        plain.absmax.double().mean().float().cpu(),
        state.absmax.cpu(),
        values.cpu(),
    ), state


def dequantize_there(nf4: Nf4, state: QuantState, device: str) -> torch.Tensor:
    """Dequantizes one device's codes and scales on another one."""
    state.to(device)
    return dequantize_4bit(nf4.codes.to(device), state).cpu()


def difference(one: torch.Tensor, other: torch.Tensor) -> Difference:
    """Compares bits, and says how far numbers are apart."""
    assert one.shape == other.shape and one.dtype == other.dtype
    bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32}[one.element_size()]
    differing = one.reshape(-1).view(bits) != other.reshape(-1).view(bits)
    count = int(differing.sum())
    if not count or not one.is_floating_point():
        return Difference(count, one.numel(), float("nan"), float("nan"))
    mine = one.reshape(-1)[differing].double()
    apart = (mine - other.reshape(-1)[differing].double()).abs()
    relative = (apart / mine.abs().clamp(min=1e-30)).max().item()
    return Difference(count, one.numel(), apart.max().item(), relative)


def compare(weight: torch.Tensor, second: str, threads: int | None) -> dict[str, Difference]:
    """Returns the difference of each part between the CPU and the second device."""
    one, state = quantize(weight, "cpu")
    usual = torch.get_num_threads()
    torch.set_num_threads(threads or usual)
    other, _ = quantize(weight, second)
    crossed = dequantize_there(one, state, second)
    torch.set_num_threads(usual)
    differences = {}
    for part in PARTS[:-1]:
        differences[part] = difference(getattr(one, part), getattr(other, part))
    differences["crossed"] = difference(one.values, crossed)
    return differences


def describe(name: str, differences: dict[str, Difference]) -> str:
    """Returns a tensor's line."""
    words = []
    for part in PARTS:
        found = differences[part]
        if not found.count:
            words.append(f"{part} equal")
        elif np.isnan(found.most):
            words.append(f"{part} {found.count:,} of {found.of:,} differ")
        else:
            words.append(
                f"{part} {found.count:,} of {found.of:,} differ by up to {found.most:.3g}"
                f" ({found.relative:.2g} of the value)"
            )
    return f"{name}: {', '.join(words)}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("base", type=Path)
    parser.add_argument("--second", default="cuda")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "no card"
    print(
        f"torch {torch.__version__}, bitsandbytes {bitsandbytes.__version__}, {card},"
        f" {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads;"
        f" cpu against {arguments.second}"
    )
    weights = [*linear_weights(arguments.base), *random_weights(arguments.seed)]
    assert len(weights) > len(LAYER), f"{arguments.base} has no *_proj.weight"
    equal = dict.fromkeys(PARTS, 0)
    numbers = differing = 0
    for name, weight in weights:
        differences = compare(weight, arguments.second, arguments.threads)
        print(describe(name, differences), flush=True)
        for part in PARTS:
            equal[part] += not differences[part].count
        numbers += weight.numel()
        differing += differences["values"].count
    summary = ", ".join(f"{part} equal in {equal[part]}" for part in PARTS)
    print(
        f"SUMMARY: {len(weights)} tensors of {numbers:,} weights: {summary};"
        f" {differing:,} values differ"
    )


if __name__ == "__main__":
    main()
