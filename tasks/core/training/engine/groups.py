"""Linear layers that read the same input, with their adapters, as one matrix product.

The adapter rides in the base's product: y = [x, x·Aᵀ] · [W, s·B]ᵀ, where W, A and B stack those of
the layers. The columns s·B and a copy of A in the compute type are rewritten whenever the float32
matrices may have changed. An NF4 base is dequantized at each use, and to put s·B beside it would
mean to copy it: there the base's product is added to the adapter's. Either way y is rounded after
both are summed (rounding.py says why that matters).
"""

from dataclasses import dataclass

import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit
from torch import Tensor, nn
from torch.nn import functional

from tasks.core.training.engine.elementwise import swiglu, swiglu_again


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

    A plain base weight moves into the group's one tensor and PEFT's layer keeps a view of it; an
    NF4 weight stays what it is, and is dequantized at each use.
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
        self._rides = (
            not self._nf4 and self.inputs <= self.outputs
        )  # else x is too wide to be copied for its sake
        if self._nf4:
            for member in (
                self._members
            ):  # else a CPU's forward pass without gradient packs the weight anew, in place
                member.base.support_avx512bf16_for_cpu = False
        else:
            self._whole = self._move_weights()
        self.refresh()

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Every trained matrix, in the order of `gradients`."""
        return [
            matrix
            for member in self._members
            for matrix in (member.a, member.b)
            if matrix is not None
        ]

    @torch.no_grad()
    def refresh(self) -> None:
        """Takes over the adapter's present values."""
        for member in self._members:
            if member.a is not None:
                self._a[member.ranks] = member.a
                self._b[member.rows, member.ranks] = member.scale * member.b

    def weight(self) -> Tensor:
        """W, (outputs, inputs)."""
        if not self._nf4:
            return self._whole[:, : self.inputs]
        weight = torch.empty(self.outputs, self.inputs, dtype=self._dtype, device=self._device)
        for member in self._members:
            _dequantize(member.base.weight, weight[member.rows])
        return weight

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """y (tokens, outputs), and x (tokens, inputs) and x·Aᵀ (tokens, rank) for the backward
        pass.
        """
        projected = x @ self._a.T
        if self._rides:
            wide = torch.cat([x, projected], dim=1)
            return (
                functional.linear(wide, self._whole, self.bias),
                wide[:, : self.inputs],
                wide[:, self.inputs :],
            )
        # the small product first: beside the rounded large one, or the bias, it would be lost in
        # that one's last bit
        y = (projected @ self._b.T).addmm_(x, self.weight().T)
        return y if self.bias is None else y.add_(self.bias), x, projected

    def to_input(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients to x and to x·Aᵀ from the one to y."""
        to_projected = gradient @ self._b
        return (to_projected @ self._a).addmm_(gradient, self.weight()), to_projected

    def gradients(
        self, x: Tensor, projected: Tensor, to_y: Tensor, to_projected: Tensor
    ) -> list[Tensor]:
        """Gradients to `parameters`, float32."""
        to_a, told = (to_projected.T @ x).float(), []
        for member in self._members:
            if member.a is not None:
                to_b = (to_y[:, member.rows].T @ projected[:, member.ranks]).float()
                told += [to_a[member.ranks], to_b.mul_(member.scale)]
        return told

    def _move_weights(self) -> Tensor:
        whole = torch.empty(
            self.outputs, self.inputs + self.rank, dtype=self._dtype, device=self._device
        )
        self._b = whole[
            :, self.inputs :
        ].zero_()  # a layer's columns stay zero in the other layers' rows
        for member in self._members:
            whole[member.rows, : self.inputs] = member.base.weight.data
            member.base.weight = nn.Parameter(
                whole[member.rows, : self.inputs], requires_grad=False
            )
        return whole


def _members(layers: list[nn.Module]) -> list[_Member]:
    members, row, column = [], 0, 0
    for layer in layers:
        base, a, b, scale = getattr(layer, "base_layer", layer), None, None, 0.0
        if base is not layer:
            a, b, scale = (
                layer.lora_A["default"].weight,
                layer.lora_B["default"].weight,
                layer.scaling["default"],
            )
        rank = 0 if a is None else len(a)
        rows, ranks = slice(row, row + base.out_features), slice(column, column + rank)
        members.append(_Member(base, rows, ranks, a, b, scale))
        row, column = rows.stop, ranks.stop
    return members


def _dequantize(nf4: Tensor, out: Tensor) -> None:
    if out.is_cuda:
        dequantize_4bit(nf4.data, nf4.quant_state, out=out)
    else:  # bitsandbytes can write to a given place on a GPU only
        out.copy_(dequantize_4bit(nf4.data, nf4.quant_state))


def _stack_biases(members: list[_Member], dtype: torch.dtype) -> Tensor | None:
    if all(member.base.bias is None for member in members):
        return None
    device = members[0].base.weight.device
    parts = [
        torch.zeros(member.base.out_features, device=device)
        if member.base.bias is None
        else member.base.bias.data
        for member in members
    ]
    return torch.cat([part.to(dtype) for part in parts])


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, group, *weights):
        ctx.group = group
        y, *kept = group.forward(x)
        ctx.save_for_backward(*kept)
        return y

    @staticmethod
    def backward(ctx, gradient):
        to_x, to_projected = ctx.group.to_input(gradient)
        return to_x, None, *ctx.group.gradients(*ctx.saved_tensors, gradient, to_projected)


class _MLP(torch.autograd.Function):
    """down(swiglu(gate_up(x))); keeps gate and up, and computes the activation again for the
    backward pass.
    """

    @staticmethod
    def forward(ctx, x, gate_up, down, *weights):
        both, *kept = gate_up.forward(x)
        y, _, of_activation = down.forward(swiglu(both))
        ctx.groups = gate_up, down
        ctx.save_for_backward(*kept, both, of_activation)
        return y

    @staticmethod
    def backward(ctx, gradient):
        (gate_up, down), (x, of_x, both, of_activation) = ctx.groups, ctx.saved_tensors
        to_activation, to_projected = down.to_input(gradient)
        activation, to_both = swiglu_again(both, to_activation)
        of_down = down.gradients(activation, of_activation, gradient, to_projected)
        del activation, to_activation
        to_x, to_projected = gate_up.to_input(to_both)
        return to_x, None, None, *gate_up.gradients(x, of_x, to_both, to_projected), *of_down


def linear(x: Tensor, group: Group) -> Tensor:
    """The group's outputs side by side, (tokens, outputs)."""
    return _Linear.apply(x, group, *group.parameters)


def mlp(x: Tensor, gate_up: Group, down: Group) -> Tensor:
    """The gated MLP, (tokens, inputs) to (tokens, outputs of down)."""
    return _MLP.apply(x, gate_up, down, *gate_up.parameters, *down.parameters)
