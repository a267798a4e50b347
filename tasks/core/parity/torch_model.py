"""A Hugging Face folder computed by PyTorch in float32: the reference, or the merged model.

The reference is what was trained, put together by transformers, bitsandbytes and PEFT, and by none
of kospilot's own code: the base in training's values, with the adapter beside each layer. Training
itself computed in 16 bit; float32 takes the rounding of its activations away, which is a hundred
times what a right merge changes, and would hide a wrong one.
"""

from pathlib import Path
from typing import Any

import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn.modules import Linear4bit, Params4bit
from peft import PeftModel
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    DynamicCache,
    PreTrainedModel,
)

from tasks.core.errors import WorkError
from tasks.core.parity.hop import Floats
from tasks.core.records.training_base import TrainingBase

_PLAIN = {"hf_quantizer": None, "is_quantized": False, "is_loaded_in_4bit": False}
"""Attributes by which transformers and PEFT take a quantized model for a plain one."""


class TorchModel:
    """A model in float32, on the GPU if there is one with the memory for it, else on the CPU."""

    def __init__(self, model: PreTrainedModel):
        """Takes a model that is on the CPU, in any type."""
        self._device = _device_for(model)
        self._model = model
        model.eval()
        # It moves in its own type, which is half as large.
        torch.nn.Module.to(model, self._device)
        model.float()
        self._cache = DynamicCache()
        named = model.generation_config.eos_token_id if model.generation_config else None
        self._ends = set(named) if isinstance(named, list) else {named}

    @property
    def vocabulary(self) -> int:
        """Tokens that the model knows."""
        return int(self._model.config.get_text_config().vocab_size)

    def ends(self, token: int) -> bool:
        """Whether the folder's generation_config.json names it as an end."""
        return token in self._ends

    def feed(self, keep: int, tokens: list[int], wanted: int) -> Floats:
        """Returns logits as hop.Model says."""
        held = self._cache.get_seq_length()
        if not keep:
            self._cache = DynamicCache()
        elif keep < held:
            self._cache.crop(keep - held)  # negative: so many tokens are taken off its end
        ids = torch.tensor([tokens], device=self._device)
        with torch.inference_mode():
            output = self._model(
                input_ids=ids, past_key_values=self._cache, use_cache=True, logits_to_keep=wanted
            )
        logits: Floats = output.logits[0].cpu().numpy()
        return logits


def load_merged(folder: Path) -> TorchModel:
    """Returns the model in a folder of merge. Raises WorkError if it cannot be loaded."""
    return TorchModel(_load(folder, dtype="auto"))


def load_reference(base: Path, adapter: Path | None, trained: TrainingBase | None) -> TorchModel:
    """Returns the base as it was trained on, with the adapter unmerged.

    trained: None for a base in its own values. Raises WorkError if it cannot be loaded.
    """
    model = _load_base(base, trained)
    if adapter:
        model = _adapted(model, adapter)
    return TorchModel(model)


def _adapted(model: PreTrainedModel, adapter: Path) -> PreTrainedModel:
    """The model with the adapter beside its layers."""
    try:
        adapted = PeftModel.from_pretrained(model, adapter).get_base_model()
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise WorkError(f"PEFT cannot put the adapter {adapter} on its base: {error}") from None
    assert isinstance(adapted, PreTrainedModel), "it was one before"
    return adapted


def _load_base(base: Path, trained: TrainingBase | None) -> PreTrainedModel:
    """Loads the base in training's type, its NF4 layers as plain ones of the same values."""
    if trained is None:
        return _load(base, dtype=torch.float32)
    compute = getattr(torch, trained.compute_type)
    quantization = {}
    if trained.quantization == "nf4" and not _comes_quantized(base):
        quantization["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=trained.double_quantization,
            bnb_4bit_compute_dtype=compute,
        )
    model = _load(base, dtype=compute, **quantization)
    _dequantize(model, compute)
    return model


def _comes_quantized(base: Path) -> bool:
    return getattr(AutoConfig.from_pretrained(base), "quantization_config", None) is not None


def _load(folder: Path, **options: Any) -> PreTrainedModel:
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder, attn_implementation="sdpa", **options
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise WorkError(f"transformers cannot load {folder}: {error}") from None
    return model


def _dequantize(model: PreTrainedModel, compute: torch.dtype) -> None:
    """Replaces every 4-bit layer by a plain one with the values that it computes with.

    bitsandbytes has put the model on a GPU that holds it in 4 bit, and four times that may not fit:
    it comes back to the CPU.
    """
    for name, layer in list(model.named_modules()):
        if isinstance(layer, Linear4bit):
            model.set_submodule(name, _plain(layer, compute))
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    for attribute, value in _PLAIN.items():
        setattr(model, attribute, value)
    torch.nn.Module.to(model, "cpu")


def _plain(layer: Linear4bit, compute: torch.dtype) -> torch.nn.Linear:
    assert isinstance(layer.weight, Params4bit)
    weight = dequantize_4bit(layer.weight.data, layer.weight.quant_state).to("cpu", compute)
    has_bias = layer.bias is not None
    plain = torch.nn.Linear(layer.in_features, layer.out_features, bias=has_bias, device="meta")
    plain.weight = torch.nn.Parameter(weight, requires_grad=False)
    plain.bias = layer.bias
    return plain


def _device_for(model: PreTrainedModel) -> str:
    """The GPU if it holds the weights in float32 and a tenth more, else the CPU."""
    if not torch.cuda.is_available():
        return "cpu"
    torch.cuda.empty_cache()  # PyTorch keeps what the model before this one took
    free, _ = torch.cuda.mem_get_info()
    needed = 4 * sum(parameter.numel() for parameter in model.parameters())
    return "cuda" if free > 1.1 * needed else "cpu"
