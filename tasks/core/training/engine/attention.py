"""Causal attention over packed rows: each segment of queries sees its own keys and nothing else."""

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from tasks.core.training.engine.pack import Pack


def _find_kernel() -> Callable[..., Tensor] | None:
    """Returns PyTorch's attention over packed rows, which it has from 2.10 on, or None."""
    try:
        return import_module("torch.nn.attention.varlen").varlen_attn
    except ImportError:
        return None


def _causal_options(kernel: Callable[..., Tensor]) -> dict[str, Any]:
    """Returns how the kernel is told that a segment's last query stands at its last key.

    The way to say so changed with PyTorch 2.11.
    """
    known = inspect.signature(kernel).parameters
    options: dict[str, Any] = {}
    if "window_size" in known:
        options["window_size"] = (-1, 0)
    else:
        options["is_causal"] = True
    if "enable_gqa" in known:  # not in 2.11, in which heads share keys anyway
        options["enable_gqa"] = True
    return options


_KERNEL = _find_kernel()
_OPTIONS = _causal_options(_KERNEL) if _KERNEL else {}


def attend(queries: Tensor, keys: Tensor, values: Tensor, pack: Pack) -> Tensor:
    """Returns what each token attends to, (tokens, heads, width), from three tensors of that shape.

    Keys and values may have fewer heads than the queries.
    """
    if pack.key_indices is not None:
        keys = _Gathered.apply(keys, pack.key_indices)
        values = _Gathered.apply(values, pack.key_indices)
    else:
        # a view of them would keep the unturned queries and keys until the backward pass
        values = values.contiguous()
    # the kernel takes only 16-bit types
    if _KERNEL is not None and queries.is_cuda and queries.dtype != torch.float32:
        return _attend_at_once(_KERNEL, queries, keys, values, pack)
    return _attend_by_segment(queries, keys, values, pack)


class _Gathered(torch.autograd.Function):
    """Takes x at these indices, which may name a token often.

    The gradients of such a token are added up in float32 and rounded once.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, indices: Tensor) -> Tensor:
        ctx.save_for_backward(indices)
        ctx.shape = x.shape
        return x.index_select(0, indices)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (indices,) = ctx.saved_tensors
        total = torch.zeros(ctx.shape, dtype=torch.float32, device=gradient.device)
        total.index_add_(0, indices, gradient.float())
        return total.to(gradient.dtype), None


def _attend_at_once(
    kernel: Callable[..., Tensor], queries: Tensor, keys: Tensor, values: Tensor, pack: Pack
) -> Tensor:
    return kernel(
        queries,
        keys,
        values,
        pack.query_starts,
        pack.key_starts,
        pack.longest_query,
        pack.longest_key,
        **_OPTIONS,
    )


def _attend_by_segment(queries: Tensor, keys: Tensor, values: Tensor, pack: Pack) -> Tensor:
    segments = zip(
        queries.split(pack.query_lengths),
        keys.split(pack.key_lengths),
        values.split(pack.key_lengths),
        strict=True,
    )
    return torch.cat([_attend_in_segment(*segment) for segment in segments])


def _attend_in_segment(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    mask = None
    if len(queries) != len(keys):
        # PyTorch's own causal mask would put the first query at the first key
        every = torch.ones(len(queries), len(keys), dtype=torch.bool, device=queries.device)
        mask = every.tril(len(keys) - len(queries))
    attended = scaled_dot_product_attention(
        queries.transpose(0, 1)[None],  # (1, heads, tokens, width)
        keys.transpose(0, 1)[None],
        values.transpose(0, 1)[None],
        attn_mask=mask,
        is_causal=mask is None,
        enable_gqa=True,
    )
    return attended[0].transpose(0, 1)
