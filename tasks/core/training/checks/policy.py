"""Checks of the policy's layers and weights: what computes, what is trained, and what moved.

Each function looks at one thing and returns it as report.Check; report.Report stops the stage if
one does not hold.
"""

from pathlib import Path

import torch
from bitsandbytes.nn.modules import Linear4bit
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from tasks.core.training.checks.report import Check
from tasks.core.training.policy.adapter import lora_weights
from tasks.core.training.policy.quantized import DequantizedLinear

MOVED_SHARE = 0.9  # of the LoRA elements, after a stage


def check_layers(policy: PeftModel, targets: list[str]) -> Check:
    """Checks that every linear layer that training.target_modules names has an adapter."""
    count = 0
    bare = []
    for name, layer in policy.get_base_model().named_modules():
        if name.rpartition(".")[2] in targets:
            count += 1
            if not isinstance(layer, BaseTunerLayer):
                bare.append(name)
    problem = ""
    if bare:
        problem = f"{len(bare)} of {count} layers have no adapter, the first is {bare[0]}."
    return Check("layers_with_adapter", count - len(bare), f"of {count}", "all", problem)


def check_only_adapter_trained(policy: PeftModel) -> Check:
    """Checks that nothing but the adapter is trained."""
    adapter = {name for name, _ in lora_weights(policy)}
    others = []
    for name, weight in policy.named_parameters():
        if weight.requires_grad and name not in adapter:
            others.append(name)
    problem = ""
    if others:
        problem = f"{len(others)} weights of the base would be trained, the first is {others[0]}."
    return Check("trained_beside_the_adapter", len(others), "weights", "0", problem)


def check_compute_type(policy: PeftModel, compute: torch.dtype) -> Check:
    """Checks that the base computes in the compute type, quantized or not."""
    nf4 = values = plain = 0
    wrong = []
    for name, layer in policy.named_modules():
        if not isinstance(layer, nn.Linear) or "lora_" in name:
            continue
        if isinstance(layer, Linear4bit):
            nf4 += 1
            dtype = layer.compute_dtype
        else:
            values += isinstance(layer, DequantizedLinear)
            plain += not isinstance(layer, DequantizedLinear)
            dtype = layer.weight.dtype
        if dtype != compute:
            wrong.append((_name(dtype), name))
    problem = ""
    if wrong:
        other, first = wrong[0]
        problem = f"{len(wrong)} base layers compute in {other}, not {_name(compute)}: {first}."
    held = f"({nf4} layers NF4, {values} NF4's values, {plain} in {torch.finfo(compute).bits} bit)"
    return Check("base_computes_in", _name(compute), held, _name(compute), problem)


def check_float32(policy: PeftModel, name: str = "lora_parameters_float32") -> Check:
    """Checks that every LoRA weight is float32.

    In bf16 small updates would vanish, and a resumed run would differ.
    """
    count = 0
    wrong = []
    for matrix, weight in lora_weights(policy):
        count += weight.numel()
        if weight.dtype != torch.float32:
            wrong.append(matrix)
    problem = ""
    if wrong:
        problem = f"{len(wrong)} LoRA weights are not float32, the first is {wrong[0]}."
    return Check(name, count, "parameters", "all LoRA weights", problem)


def check_same_weights(
    policy: PeftModel, expected: dict[str, Tensor], whose: str, name: str = "start_weights"
) -> Check:
    """Checks that the policy's LoRA weights are exactly these."""
    count = 0
    differing = []
    for matrix, weight in lora_weights(policy):
        count += 1
        present = weight.detach().cpu()
        if matrix not in expected:
            differing.append(f"{matrix} is not among {whose}'s")
        elif not torch.equal(present, expected[matrix].float()):
            gap = (present - expected[matrix].float()).abs().max().item()
            differing.append(f"{matrix} is not {whose}'s: they differ by up to {gap:.3g}")
    problem = ""
    if differing:
        problem = (
            f"{len(differing)} LoRA matrices are others than {whose}'s."
            f" The policy's {differing[0]}."
        )
    equal = count - len(differing)
    return Check(name, equal, f"of {count} matrices equal {whose}'s", "all", problem)


def check_gradients(policy: PeftModel, loss: Tensor) -> Check:
    """Checks that a backward pass from the loss reaches every LoRA matrix.

    B starts at zero, so A's gradient may be zero, but it has to be there.
    """
    loss.backward()
    weights = list(lora_weights(policy))
    without = [name for name, weight in weights if weight.grad is None]
    for name, weight in weights:
        if "lora_B" in name and weight.grad is not None and not weight.grad.any():
            without.append(name)
    policy.zero_grad(set_to_none=True)
    problem = ""
    if without:
        problem = f"{len(without)} LoRA matrices get no gradient, e.g. {without[0]}."
    reached = len(weights) - len(without)
    return Check("matrices_with_gradient", reached, f"of {len(weights)}", "all", problem)


def check_optimizer(policy: PeftModel, optimizer: torch.optim.Optimizer) -> Check:
    """Checks that the optimizer updates every LoRA matrix."""
    updated = set()
    for group in optimizer.param_groups:
        updated |= {id(weight) for weight in group["params"]}
    weights = list(lora_weights(policy))
    without = []
    for name, weight in weights:
        if id(weight) not in updated or not weight.requires_grad:
            without.append(name)
    problem = ""
    if without:
        problem = (
            f"{len(without)} LoRA matrices are not the optimizer's, the first is {without[0]}."
        )
    held = len(weights) - len(without)
    return Check("matrices_in_the_optimizer", held, f"of {len(weights)}", "all", problem)


def check_optimizer_state(optimizer: torch.optim.Optimizer) -> Check:
    """Checks that the optimizer's moments are float32, or 8-bit with float32 scales.

    In 16 bit small updates are lost.
    """
    types = set()
    for kept in optimizer.state.values():
        for value in kept.values():
            if torch.is_tensor(value) and value.numel() > 1:
                types.add(_name(value.dtype))
    half = sorted(types & {"bfloat16", "float16"})
    problem = ""
    if half:
        problem = f"The optimizer keeps {', '.join(half)} numbers, in which small updates are lost."
    return Check("optimizer_state", ", ".join(sorted(types)), "", "float32, uint8", problem)


def check_moved(policy: PeftModel, before: dict[str, Tensor], strict: bool) -> list[Check]:
    """Checks that LoRA elements changed.

    Some of them have to; if `strict`, at least MOVED_SHARE of them and some in every matrix.
    """
    total = moved = 0
    still = []
    for name, weight in lora_weights(policy):
        changed = int((weight.detach().cpu() != before[name]).sum())
        total += weight.numel()
        moved += changed
        if not changed:
            still.append(name)
    return [_check_moved_share(moved / total, strict), _check_moved_matrices(still, strict)]


def _check_moved_share(share: float, strict: bool) -> Check:
    problem = ""
    if share == 0 or (strict and share < MOVED_SHARE):
        problem = (
            f"Only {100 * share:.1f} % of the LoRA elements moved:"
            " part of the adapter was not trained."
        )
    limit = f">= {MOVED_SHARE}" if strict else "> 0 (few steps)"
    return Check("elements_moved_share", round(share, 4), "of the LoRA elements", limit, problem)


def _check_moved_matrices(still: list[str], strict: bool) -> Check:
    problem = ""
    if still and strict:
        problem = f"{len(still)} LoRA matrices did not move at all, the first is {still[0]}."
    limit = "0" if strict else "any (few steps)"
    return Check("matrices_that_did_not_move", len(still), "", limit, problem)


def check_start_files(same: bool, start: Path) -> Check:
    """Checks that the files of the adapter that the stage started from did not change.

    They are DPO's reference.
    """
    if same:
        return Check("start_adapter_files", "unchanged", "", "unchanged")
    problem = f"The files of {start} changed while the stage that started from them trained."
    return Check("start_adapter_files", "changed", "", "unchanged", problem)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
