"""Causal attention over packed rows: each segment of queries sees its own keys and nothing else."""

import inspect
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from tasks.core.training.engine.pack import Pack

try:  # PyTorch has it from 2.10 on
    from torch.nn.attention.varlen import varlen_attn
except ImportError:
    varlen_attn = None
_OPTIONS = inspect.signature(varlen_attn).parameters if varlen_attn else {}


class _Taken(torch.autograd.Function):
    """x at these places, which may name a token often: its gradients are summed in float32 and
    rounded once.
    """

    @staticmethod
    def forward(ctx, x, places):
        ctx.save_for_backward(places)
        ctx.shape = x.shape
        return x.index_select(0, places)

    @staticmethod
    def backward(ctx, gradient):
        (places,) = ctx.saved_tensors
        total = torch.zeros(ctx.shape, dtype=torch.float32, device=gradient.device)
        return total.index_add_(0, places, gradient.float()).to(gradient.dtype), None


def attend(queries: Tensor, keys: Tensor, values: Tensor, pack: Pack) -> Tensor:
    """(tokens, heads, width) each, keys and values with fewer heads perhaps; (tokens, heads,
    width).
    """
    if pack.key_places is not None:
        keys, values = _Taken.apply(keys, pack.key_places), _Taken.apply(values, pack.key_places)
    else:
        values = (
            values.contiguous()
        )  # as a view they would keep the unturned queries and keys for the backward pass
    # PyTorch's kernels take 16-bit types only
    if queries.is_cuda and varlen_attn is not None and queries.dtype != torch.float32:
        return _attend_at_once(queries, keys, values, pack)
    return _attend_by_segment(queries, keys, values, pack)


def _attend_at_once(queries: Tensor, keys: Tensor, values: Tensor, pack: Pack) -> Tensor:
    # causal: a segment's last query stands at its last key. The way to say so changed with PyTorch
    # 2.11
    options: dict[str, Any] = (
        {"window_size": (-1, 0)} if "window_size" in _OPTIONS else {"is_causal": True}
    )
    if "enable_gqa" in _OPTIONS:  # not so in 2.11, where heads share keys without being asked
        options["enable_gqa"] = True
    starts, longest = (pack.query_starts, pack.key_starts), (pack.longest_query, pack.longest_key)
    return varlen_attn(queries, keys, values, *starts, *longest, **options)


def _attend_by_segment(queries: Tensor, keys: Tensor, values: Tensor, pack: Pack) -> Tensor:
    parts = []
    of_queries = queries.split(pack.query_lengths)
    for q, k, v in zip(
        of_queries, keys.split(pack.key_lengths), values.split(pack.key_lengths), strict=True
    ):
        mask = None
        if len(q) != len(k):  # PyTorch's own causal mask would put the first query at the first key
            mask = torch.ones(len(q), len(k), dtype=torch.bool, device=q.device).tril(
                len(k) - len(q)
            )
        part = scaled_dot_product_attention(
            *(x.transpose(0, 1)[None] for x in (q, k, v)),
            attn_mask=mask,
            is_causal=mask is None,
            enable_gqa=True,
        )
        parts.append(part[0].transpose(0, 1))
    return torch.cat(parts)
