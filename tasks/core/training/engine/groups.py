"""Linear layers that read the same input, with their adapters, as one matrix product.

The adapter rides in the base's product: y = [x, x·Aᵀ] · [W, s·B]ᵀ, where W, A and B stack those of
the layers. The columns s·B and a copy of A in the compute type are rewritten whenever the float32
matrices may have changed. An NF4 base is dequantized at each use, and to put s·B beside it would
mean to copy it, so its product is added to the adapter's. Either way y is rounded after both are
summed (checks/rounding.py says why that matters).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn.modules import Linear4bit, Params4bit
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional

from tasks.core.training.engine.elementwise import swiglu, swiglu_again


@dataclass(frozen=True)
class _Adapter:
    """A layer's LoRA matrices: y gets scale · B · A · x."""

    a: nn.Parameter  # (rank, inputs), float32
    b: nn.Parameter  # (outputs, rank), float32
    scale: float


@dataclass(frozen=True)
class _Member:
    """One layer's place in its group."""

    base: nn.Linear
    adapter: _Adapter | None
    rows: slice  # of the group's outputs
    ranks: slice  # of the group's adapter columns


@dataclass(frozen=True)
class Projected:
    """A group's output, and what its backward pass needs beside the gradient."""

    y: Tensor  # (tokens, outputs)
    x: Tensor  # (tokens, inputs)
    of_a: Tensor  # x·Aᵀ, (tokens, rank)


class Group:
    """PEFT's layers q, k, v (or gate and up; or one alone), computed together.

    A plain base weight moves into the group's one tensor and PEFT's layer keeps a view of it; an
    NF4 weight stays what it is, and is dequantized at each use.
    """

    def __init__(self, layers: Sequence[nn.Module], dtype: torch.dtype):
        self._members = _members(layers)
        first, last = self._members[0], self._members[-1]
        self.inputs: int = first.base.in_features
        self.outputs: int = last.rows.stop
        self.rank: int = last.ranks.stop
        self._dtype, self._device = dtype, first.base.weight.device
        self._a = torch.zeros(self.rank, self.inputs, dtype=dtype, device=self._device)
        self._b = torch.zeros(self.outputs, self.rank, dtype=dtype, device=self._device)
        self.bias = _stack_biases(self._members, dtype)
        self._whole: Tensor | None = None  # [W, s·B], unless a layer's base is NF4
        if any(isinstance(member.base, Linear4bit) for member in self._members):
            _keep_as_they_are(self._members)
        else:
            self._whole = self._move_weights()
        # to ride, x is copied beside x·Aᵀ, which is not worth it if x is wider than y
        self._ridden = self._whole if self.inputs <= self.outputs else None
        self.refresh()

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Every trained matrix, in the order of `gradients`."""
        matrices = []
        for member in self._members:
            if member.adapter is not None:
                matrices += [member.adapter.a, member.adapter.b]
        return matrices

    @torch.no_grad()
    def refresh(self) -> None:
        """Takes over the adapter's present values."""
        for member in self._members:
            adapter = member.adapter
            if adapter is not None:
                self._a[member.ranks] = adapter.a
                self._b[member.rows, member.ranks] = adapter.scale * adapter.b

    def weight(self) -> Tensor:
        """Returns W, (outputs, inputs)."""
        if self._whole is not None:
            return self._whole[:, : self.inputs]
        weight = torch.empty(self.outputs, self.inputs, dtype=self._dtype, device=self._device)
        for member in self._members:
            _dequantize(member.base.weight, weight[member.rows])
        return weight

    def forward(self, x: Tensor) -> Projected:
        """Returns the group's output from x, (tokens, inputs)."""
        of_a = x @ self._a.T
        if self._ridden is not None:
            wide = torch.cat([x, of_a], dim=1)
            y = functional.linear(wide, self._ridden, self.bias)
            return Projected(y, wide[:, : self.inputs], wide[:, self.inputs :])
        # the small product first: added to the rounded large one, or to the bias, it would be lost
        # in the last bit
        y = (of_a @ self._b.T).addmm_(x, self.weight().T)
        if self.bias is not None:
            y.add_(self.bias)
        return Projected(y, x, of_a)

    def to_input(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the gradients to x and to x·Aᵀ from the one to y."""
        to_of_a = gradient @ self._b
        return (to_of_a @ self._a).addmm_(gradient, self.weight()), to_of_a

    def gradients(self, x: Tensor, of_a: Tensor, to_y: Tensor, to_of_a: Tensor) -> list[Tensor]:
        """Returns the gradients to `parameters`, float32."""
        to_a = (to_of_a.T @ x).float()
        gradients = []
        for member in self._members:
            if member.adapter is not None:
                to_b = (to_y[:, member.rows].T @ of_a[:, member.ranks]).float()
                gradients += [to_a[member.ranks], to_b.mul_(member.adapter.scale)]
        return gradients

    def _move_weights(self) -> Tensor:
        """Returns [W, s·B], (outputs, inputs + rank), and makes the layers' weights views of it."""
        whole = torch.empty(
            self.outputs, self.inputs + self.rank, dtype=self._dtype, device=self._device
        )
        # a layer's columns stay zero in the other layers' rows
        self._b = whole[:, self.inputs :].zero_()
        for member in self._members:
            own = whole[member.rows, : self.inputs]
            own.copy_(member.base.weight.data)
            member.base.weight = nn.Parameter(own, requires_grad=False)
        return whole


def _members(layers: Sequence[nn.Module]) -> list[_Member]:
    """Returns the layers, their outputs one below the other and their adapters' ranks likewise."""
    members = []
    row = rank = 0
    for layer in layers:
        base, adapter = _taken_apart(layer)
        rows = slice(row, row + base.out_features)
        ranks = slice(rank, rank + (0 if adapter is None else len(adapter.a)))
        members.append(_Member(base, adapter, rows, ranks))
        row, rank = rows.stop, ranks.stop
    return members


def _taken_apart(layer: nn.Module) -> tuple[nn.Linear, _Adapter | None]:
    """Takes PEFT's layer apart: its base and its adapter. A layer without one is its own base."""
    if not isinstance(layer, LoraLayer):
        assert isinstance(layer, nn.Linear)
        return layer, None
    base = layer.get_base_layer()
    assert isinstance(base, nn.Linear)
    a = layer.lora_A["default"].get_parameter("weight")
    b = layer.lora_B["default"].get_parameter("weight")
    return base, _Adapter(a, b, layer.scaling["default"])


def _keep_as_they_are(members: list[_Member]) -> None:
    """Keeps bitsandbytes from changing the layers' weights in place.

    On a CPU, a forward pass without gradient would pack an NF4 weight anew.
    """
    for member in members:
        if isinstance(member.base, Linear4bit):
            member.base.support_avx512bf16_for_cpu = False


def _dequantize(weight: Tensor, out: Tensor) -> None:
    """Writes the weight's values; a base that comes as NF4 may have left out some layers."""
    if not isinstance(weight, Params4bit):
        out.copy_(weight)
    elif out.is_cuda and weight.quant_state.dtype == out.dtype:
        dequantize_4bit(weight.data, weight.quant_state, out=out)
    else:  # bitsandbytes can write into a given tensor only on a GPU, and only in its own type
        out.copy_(dequantize_4bit(weight.data, weight.quant_state))


def _stack_biases(members: list[_Member], dtype: torch.dtype) -> Tensor | None:
    """Returns the layers' biases, (outputs,), zero for a layer that has none.

    Returns None if no layer has one.
    """
    if all(member.base.bias is None for member in members):
        return None
    device = members[0].base.weight.device
    biases = []
    for member in members:
        bias = member.base.bias
        if bias is None:
            bias = torch.zeros(member.base.out_features, device=device)
        biases.append(bias.data.to(dtype))
    return torch.cat(biases)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group, *weights: Tensor) -> Tensor:
        projected = group.forward(x)
        ctx.group = group
        ctx.save_for_backward(projected.x, projected.of_a)
        return projected.y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, of_a = ctx.saved_tensors
        to_x, to_of_a = ctx.group.to_input(gradient)
        return to_x, None, *ctx.group.gradients(x, of_a, gradient, to_of_a)


class _MLP(torch.autograd.Function):
    """down(swiglu(gate_up(x))), which keeps only gate and up of what it computed.

    The backward pass computes the activation again.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gate_up: Group, down: Group, *weights: Tensor) -> Tensor:
        both = gate_up.forward(x)
        projected = down.forward(swiglu(both.y))
        ctx.gate_up, ctx.down = gate_up, down
        ctx.save_for_backward(both.x, both.of_a, both.y, projected.of_a)
        return projected.y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, of_x, both, of_activation = ctx.saved_tensors
        to_activation, to_of_a = ctx.down.to_input(gradient)
        activation, to_both = swiglu_again(both, to_activation)
        of_down = ctx.down.gradients(activation, of_activation, gradient, to_of_a)
        del activation, to_activation
        to_x, to_of_a = ctx.gate_up.to_input(to_both)
        of_gate_up = ctx.gate_up.gradients(x, of_x, to_both, to_of_a)
        return to_x, None, None, *of_gate_up, *of_down


def linear(x: Tensor, group: Group) -> Tensor:
    """Returns the group's outputs side by side, (tokens, outputs)."""
    return _Linear.apply(x, group, *group.parameters)


def mlp(x: Tensor, gate_up: Group, down: Group) -> Tensor:
    """Returns the gated MLP's output, (tokens, outputs of down), from (tokens, inputs)."""
    return _MLP.apply(x, gate_up, down, *gate_up.parameters, *down.parameters)
