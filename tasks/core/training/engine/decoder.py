"""The forward pass of a PEFT policy of the Llama, Qwen2 or Mistral family over packs, and nothing
but its adapter trained.
"""

from dataclasses import dataclass

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tasks.core.training.engine.attention import attend
from tasks.core.training.engine.elementwise import add_norm, norm, rotate
from tasks.core.training.engine.groups import Group, linear, mlp
from tasks.core.training.engine.loss import log_probs_of
from tasks.core.training.engine.pack import Pack


@dataclass(frozen=True)
class _Layer:
    input_norm: Tensor
    qkv: Group
    o: Group
    middle_norm: Tensor
    gate_up: Group
    down: Group


class Engine:
    """A policy's layers, fused. checkpointed: how many of the first layers keep only their input.

    The first ones, because the others' activations are gone when the backward pass computes theirs
    again.
    """

    def __init__(self, policy: PeftModel, checkpointed: int):
        model = policy.get_base_model()
        decoder, self._config = model.model, model.config
        self._embed, self._rotary, self._last_norm = (
            decoder.embed_tokens,
            decoder.rotary_emb,
            decoder.norm.weight.data,
        )
        self._head, self.checkpointed = model.lm_head.weight.data, checkpointed
        dtype = decoder.embed_tokens.weight.dtype
        self._layers = [_fuse(layer, dtype) for layer in decoder.layers]
        self._groups = [
            group
            for layer in self._layers
            for group in (layer.qkv, layer.o, layer.gate_up, layer.down)
        ]
        fused = {id(weight) for group in self._groups for weight in group.parameters}
        assert all(id(weight) in fused for weight in policy.parameters() if weight.requires_grad), (
            "all is in a group"
        )
        self.refresh()

    @property
    def device(self) -> torch.device:
        return self._head.device

    @property
    def dtype(self) -> torch.dtype:
        """Of activations and base weights."""
        return self._head.dtype

    def refresh(self) -> None:
        """To be called when the adapter's matrices may have changed: after an optimizer step, after
        loading.
        """
        for group in self._groups:
            assert all(weight.dtype == torch.float32 for weight in group.parameters), (
                "LoRA weights are float32"
            )
            group.refresh()

    def log_probs(self, pack: Pack) -> Tensor:
        """Log-probs of the pack's targets, float32 (n,)."""
        x = self._embed(pack.ids)
        cos, sin = (part[0][:, None] for part in self._rotary(x[None], pack.positions[None]))
        for number, layer in enumerate(self._layers):
            if number < self.checkpointed and torch.is_grad_enabled():
                x = checkpoint(
                    self._run,
                    layer,
                    x,
                    cos,
                    sin,
                    pack,
                    use_reentrant=False,
                    preserve_rng_state=False,
                )
            else:
                x = self._run(layer, x, cos, sin, pack)
        return log_probs_of(
            norm(x, self._last_norm, self._config.rms_norm_eps), self._head, pack.targets
        )

    def _run(self, layer: _Layer, x: Tensor, cos: Tensor, sin: Tensor, pack: Pack) -> Tensor:
        heads, kv_heads, width = (
            self._config.num_attention_heads,
            self._config.num_key_value_heads,
            cos.shape[-1],
        )
        eps = self._config.rms_norm_eps
        qkv = linear(norm(x, layer.input_norm, eps), layer.qkv).view(
            len(x), heads + 2 * kv_heads, width
        )
        turning, values = qkv.split([heads + kv_heads, kv_heads], dim=1)
        queries, keys = rotate(turning, cos, sin, heads)
        attended = attend(queries, keys, values, pack).reshape(len(x), heads * width)
        if layer is self._layers[-1]:  # from here on a token matters only if it predicts a target
            x, attended = x.index_select(0, pack.places), attended.index_select(0, pack.places)
        x, normed = add_norm(x, linear(attended, layer.o), layer.middle_norm, eps)
        return x + mlp(normed, layer.gate_up, layer.down)


def _fuse(layer: nn.Module, dtype: torch.dtype) -> _Layer:
    attention, gated = layer.self_attn, layer.mlp
    return _Layer(
        input_norm=layer.input_layernorm.weight.data,
        qkv=Group([attention.q_proj, attention.k_proj, attention.v_proj], dtype),
        o=Group([attention.o_proj], dtype),
        middle_norm=layer.post_attention_layernorm.weight.data,
        gate_up=Group([gated.gate_proj, gated.up_proj], dtype),
        down=Group([gated.down_proj], dtype),
    )
