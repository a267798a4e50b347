"""Linear layers that read the same input, with their adapters, as one matrix product.

The adapter rides in the base's product: y = [x, x·Aᵀ] · [W, s·B]ᵀ, where W, A and B stack those of the layers. The
columns s·B and a copy of A in the compute type are rewritten whenever the float32 matrices may have changed.
"""

from dataclasses import dataclass

import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit
from torch import Tensor, nn
from torch.nn import functional

from tasks.core.training.engine.elementwise import swiglu, swiglu_gradient


@dataclass(frozen=True)
class _Member:
    """One layer's place in its group; a and b are None where it has no adapter."""

    base: nn.Linear
    rows: slice  # of the group's outputs
    ranks: slice  # of the group's adapter columns
    a: nn.Parameter | None
    b: nn.Parameter | None
    scale: float


class Group:
    """PEFT's layers q, k, v (or gate and up; or one alone), computed together.

    A plain base weight moves into the group's one tensor and PEFT's layer keeps a view of it; an NF4 weight stays what
    it is, and is dequantized at each use.
    """

    def __init__(self, layers: list[nn.Module], dtype: torch.dtype):
        self._members = _members(layers)
        self.inputs = self._members[0].base.in_features
        self.outputs, self.rank = self._members[-1].rows.stop, self._members[-1].ranks.stop
        device = self._members[0].base.weight.device
        self._dtype, self._device = dtype, device
        self._a = torch.zeros(self.rank, self.inputs, dtype=dtype, device=device)
        self._b = torch.zeros(self.outputs, self.rank, dtype=dtype, device=device)
        self.bias = _stack_biases(self._members, dtype)
        self._nf4 = isinstance(self._members[0].base, Linear4bit)
        if self._nf4:
            for member in self._members:  # else a CPU's forward pass without gradient packs the weight anew, in place
                member.base.support_avx512bf16_for_cpu = False
        self._kept = None if self._nf4 else self._move_weights()
        self.refresh()

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Every trained matrix, in the order of `gradients`."""
        return [matrix for member in self._members for matrix in (member.a, member.b) if matrix is not None]

    @torch.no_grad()
    def refresh(self) -> None:
        """Takes over the adapter's present values."""
        for member in self._members:
            if member.a is not None:
                self._a[member.ranks] = member.a
                self._b[member.rows, member.ranks] = member.scale * member.b

    def weight(self) -> Tensor:
        """[W, s·B], (outputs, inputs + rank)."""
        if self._kept is not None:
            return self._kept
        whole = torch.empty(self.outputs, self.inputs + self.rank, dtype=self._dtype, device=self._device)
        for member in self._members:
            whole[member.rows, : self.inputs] = dequantize_4bit(member.base.weight.data, member.base.weight.quant_state)
        whole[:, self.inputs :] = self._b
        return whole

    def widen(self, x: Tensor) -> Tensor:
        """[x, x·Aᵀ] of x (tokens, inputs)."""
        return torch.cat([x, self.project(x)], dim=1)

    def project(self, x: Tensor) -> Tensor:
        """x·Aᵀ."""
        return x @ self._a.T

    def to_input(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients to x and to x·Aᵀ from the one to y."""
        weight = self.weight()
        if self.inputs > self.outputs:  # a copy of so wide a gradient would cost more than a second, narrow product
            to_projected = gradient @ weight[:, self.inputs :]
            return (gradient @ weight[:, : self.inputs]).addmm_(to_projected, self._a), to_projected
        wide = gradient @ weight
        to_projected = wide[:, self.inputs :]
        return torch.addmm(wide[:, : self.inputs], to_projected, self._a), to_projected

    def gradients(self, x: Tensor, projected: Tensor, to_y: Tensor, to_projected: Tensor) -> list[Tensor]:
        """Gradients to `parameters`, float32."""
        to_a, told = (to_projected.T @ x).float(), []
        for member in self._members:
            if member.a is not None:
                to_b = (to_y[:, member.rows].T @ projected[:, member.ranks]).float()
                told += [to_a[member.ranks], to_b.mul_(member.scale)]
        return told

    def _move_weights(self) -> Tensor:
        whole = torch.empty(self.outputs, self.inputs + self.rank, dtype=self._dtype, device=self._device)
        self._b = whole[:, self.inputs :].zero_()  # a layer's columns stay zero in the other layers' rows
        for member in self._members:
            whole[member.rows, : self.inputs] = member.base.weight.data
            member.base.weight = nn.Parameter(whole[member.rows, : self.inputs], requires_grad=False)
        return whole


def _members(layers: list[nn.Module]) -> list[_Member]:
    members, row, column = [], 0, 0
    for layer in layers:
        base, a, b, scale = getattr(layer, "base_layer", layer), None, None, 0.0
        if base is not layer:
            a, b, scale = layer.lora_A["default"].weight, layer.lora_B["default"].weight, layer.scaling["default"]
        rank = 0 if a is None else len(a)
        rows, ranks = slice(row, row + base.out_features), slice(column, column + rank)
        members.append(_Member(base, rows, ranks, a, b, scale))
        row, column = rows.stop, ranks.stop
    return members


def _stack_biases(members: list[_Member], dtype: torch.dtype) -> Tensor | None:
    if all(member.base.bias is None for member in members):
        return None
    device = members[0].base.weight.device
    parts = [
        torch.zeros(member.base.out_features, device=device) if member.base.bias is None else member.base.bias.data
        for member in members
    ]
    return torch.cat([part.to(dtype) for part in parts])


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, group, *weights):
        wide = group.widen(x)
        ctx.group = group
        ctx.save_for_backward(wide)
        return functional.linear(wide, group.weight(), group.bias)

    @staticmethod
    def backward(ctx, gradient):
        group, (wide,) = ctx.group, ctx.saved_tensors
        to_x, to_projected = group.to_input(gradient)
        x, projected = wide[:, : group.inputs], wide[:, group.inputs :]
        return to_x, None, *group.gradients(x, projected, gradient, to_projected)


class _MLP(torch.autograd.Function):
    """down(swiglu(gate_up(x))); keeps gate and up, and computes the activation again for the backward pass."""

    @staticmethod
    def forward(ctx, x, gate_up, down, *weights):
        wide = gate_up.widen(x)
        both = functional.linear(wide, gate_up.weight(), gate_up.bias)
        activation = swiglu(both)
        projected, whole = down.project(activation), down.weight()
        # the activation is too wide to be copied for the adapter's sake
        y = functional.linear(activation, whole[:, : down.inputs], down.bias)
        y.addmm_(projected, whole[:, down.inputs :].T)
        ctx.groups = gate_up, down
        ctx.save_for_backward(wide, both, projected)
        return y

    @staticmethod
    def backward(ctx, gradient):
        (gate_up, down), (wide, both, projected) = ctx.groups, ctx.saved_tensors
        to_activation, to_projected = down.to_input(gradient)
        of_down = down.gradients(swiglu(both), projected, gradient, to_projected)
        to_both = swiglu_gradient(both, to_activation)
        del to_activation
        to_x, to_projected = gate_up.to_input(to_both)
        x, projected = wide[:, : gate_up.inputs], wide[:, gate_up.inputs :]
        return to_x, None, None, *gate_up.gradients(x, projected, to_both, to_projected), *of_down


def linear(x: Tensor, group: Group) -> Tensor:
    """The group's outputs side by side, (tokens, outputs)."""
    return _Linear.apply(x, group, *group.parameters)


def mlp(x: Tensor, gate_up: Group, down: Group) -> Tensor:
    """The gated MLP, (tokens, inputs) to (tokens, outputs of down)."""
    return _MLP.apply(x, gate_up, down, *gate_up.parameters, *down.parameters)
