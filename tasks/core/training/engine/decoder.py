"""The forward pass of a PEFT policy over packs; of the policy only the adapter is trained."""

from dataclasses import dataclass

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from tasks.core.training.engine.attention import attend
from tasks.core.training.engine.elementwise import add_norm, norm, rotate
from tasks.core.training.engine.groups import Group, linear, mlp
from tasks.core.training.engine.loss import log_probs_of
from tasks.core.training.engine.pack import Pack


@dataclass(frozen=True)
class _Layer:
    """A decoder layer, its linear modules in groups that are computed together."""

    input_norm: Tensor
    qkv: Group
    o: Group
    middle_norm: Tensor
    gate_up: Group
    down: Group

    @property
    def groups(self) -> list[Group]:
        return [self.qkv, self.o, self.gate_up, self.down]


@dataclass(frozen=True)
class _Rotary:
    """The angles of a pack's positions, (tokens, 1, width) each."""

    cos: Tensor
    sin: Tensor


class Engine:
    """A policy's layers, fused.

    checkpointed: how many of the first layers keep only their input. It is the first ones, because
    the others' activations are gone when the backward pass computes theirs again.
    """

    def __init__(self, policy: PeftModel, checkpointed: int):
        model = policy.get_base_model()
        assert isinstance(model, PreTrainedModel)
        self.checkpointed = checkpointed
        self._config = model.config
        self._embed = model.get_submodule("model.embed_tokens")
        self._rotary = model.get_submodule("model.rotary_emb")
        self._last_norm = model.get_parameter("model.norm.weight").data
        self._head = model.get_parameter("lm_head.weight").data
        dtype = model.get_parameter("model.embed_tokens.weight").dtype
        layers = model.get_submodule("model.layers").children()
        self._layers = [_fuse(layer, dtype) for layer in layers]
        self._groups = [group for layer in self._layers for group in layer.groups]
        self._check_groups(policy)
        self.refresh()

    def _check_groups(self, policy: PeftModel) -> None:
        grouped: set[int] = set()
        for group in self._groups:
            grouped.update(map(id, group.parameters))
        for name, weight in policy.named_parameters():
            assert id(weight) in grouped or not weight.requires_grad, f"{name} is in no group"

    @property
    def device(self) -> torch.device:
        """The device of the policy."""
        return self._head.device

    @property
    def dtype(self) -> torch.dtype:
        """The type of activations and base weights."""
        return self._head.dtype

    def refresh(self) -> None:
        """Takes over the adapter's matrices.

        Call it whenever they may have changed: after an optimizer step, after loading.
        """
        for group in self._groups:
            for weight in group.parameters:
                assert weight.dtype == torch.float32, "LoRA weights are float32"
            group.refresh()

    def log_probs(self, pack: Pack) -> Tensor:
        """Returns the log-probs of the pack's targets, float32 (n,)."""
        x = self._embed(pack.ids)
        cos, sin = self._rotary(x[None], pack.positions[None])
        rotary = _Rotary(cos[0][:, None], sin[0][:, None])
        for number, layer in enumerate(self._layers):
            if number < self.checkpointed and torch.is_grad_enabled():
                x = self._run_checkpointed(layer, x, rotary, pack)
            else:
                x = self._run(layer, x, rotary, pack)
        normed = norm(x, self._last_norm, self._config.rms_norm_eps)
        return log_probs_of(normed, self._head, pack.targets)

    def _run_checkpointed(self, layer: _Layer, x: Tensor, rotary: _Rotary, pack: Pack) -> Tensor:
        return checkpoint(
            self._run, layer, x, rotary, pack, use_reentrant=False, preserve_rng_state=False
        )

    def _run(self, layer: _Layer, x: Tensor, rotary: _Rotary, pack: Pack) -> Tensor:
        """Returns a layer's output, (tokens, hidden).

        The last layer's output has the predicting tokens only.
        """
        eps = self._config.rms_norm_eps
        attended = self._attend(layer, norm(x, layer.input_norm, eps), rotary, pack)
        if layer is self._layers[-1]:  # from here on a token matters only if it predicts a target
            x = x.index_select(0, pack.predicting)
            attended = attended.index_select(0, pack.predicting)
        x, normed = add_norm(x, linear(attended, layer.o), layer.middle_norm, eps)
        return x + mlp(normed, layer.gate_up, layer.down)

    def _attend(self, layer: _Layer, normed: Tensor, rotary: _Rotary, pack: Pack) -> Tensor:
        """Returns what the layer's heads attend to, side by side, (tokens, heads * width)."""
        heads = self._config.num_attention_heads
        key_heads = self._config.num_key_value_heads
        tokens, width = len(normed), rotary.cos.shape[-1]
        qkv = linear(normed, layer.qkv).view(tokens, heads + 2 * key_heads, width)
        turning, values = qkv.split([heads + key_heads, key_heads], dim=1)
        queries, keys = rotate(turning, rotary.cos, rotary.sin, heads)
        return attend(queries, keys, values, pack).reshape(tokens, heads * width)


def _fuse(layer: nn.Module, dtype: torch.dtype) -> _Layer:
    return _Layer(
        input_norm=layer.get_parameter("input_layernorm.weight").data,
        qkv=_group(layer, ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), dtype),
        o=_group(layer, ("self_attn.o_proj",), dtype),
        middle_norm=layer.get_parameter("post_attention_layernorm.weight").data,
        gate_up=_group(layer, ("mlp.gate_proj", "mlp.up_proj"), dtype),
        down=_group(layer, ("mlp.down_proj",), dtype),
    )


def _group(layer: nn.Module, names: tuple[str, ...], dtype: torch.dtype) -> Group:
    return Group([layer.get_submodule(name) for name in names], dtype)
