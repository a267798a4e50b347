"""Loads the policy: a base, in NF4 or 16 bit, with a LoRA adapter whose weights are float32.

Reads the base's folder and, if a stage continues an earlier one, that stage's adapter.
"""

import sys
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path

import torch
from bitsandbytes import cextension
from bitsandbytes.nn.modules import Linear4bit
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from tasks.core.errors import RequestError
from tasks.core.settings.tree import Training
from tasks.core.training.hardware.machine import Machine
from tasks.core.training.policy.adapter import (
    check_start,
    lora_weights,
    ranks_and_scales,
    read_start_weights,
)
from tasks.core.training.policy.base_model import comes_quantized, is_nf4, read_config
from tasks.core.training.policy.quantized import dequantize_layers
from tasks.core.training.policy.scales import make_scales_on_cpu


def check_library(machine: Machine) -> None:
    """Raises RequestError if there is a GPU and bitsandbytes came without the library for it."""
    if machine.device != "cuda" or cextension.lib.compiled_with_cuda:
        return
    versions = ", ".join(cextension.get_available_cuda_binary_versions()) or "none"
    raise RequestError(
        f"There is a GPU ({machine.name}), but bitsandbytes has no library that works with this"
        f" PyTorch's CUDA {torch.version.cuda} (it has those for CUDA {versions}), so neither the"
        " base can be held in 4 bit nor the optimizer's state in 8. Install both anew (`uv sync"
        " --reinstall-package bitsandbytes --reinstall-package torch`), or set BNB_CUDA_VERSION"
        " to one of those that is installed here, e.g. 124. `python -m bitsandbytes` says more."
    )


def load_policy(
    base: Path, start: Path | None, training: Training, machine: Machine, nf4: bool | None = None
) -> PeftModel:
    """Loads the base with a new adapter, or with the one of `start`; all of the adapter is trained.

    nf4: whether an NF4 base stays so, or its values are kept in the compute type; None: it does on
    a GPU. Raises RequestError if base, adapter and settings do not fit each other.
    """
    model = _load_base(base, training, machine)
    if nf4 is None:
        nf4 = machine.device == "cuda"
    if not nf4:
        dequantize_layers(model)
    model.config.use_cache = False
    model.requires_grad_(False)
    torch.manual_seed(training.seed)
    policy = _new(model, training) if start is None else _continued(model, start, training)
    for _, weight in lora_weights(policy):
        weight.data = weight.data.float()
    return policy


def _load_base(base: Path, training: Training, machine: Machine) -> PreTrainedModel:
    """Loads the base in the form that it comes in, or quantized if the settings ask for that."""
    named = {}
    if training.quantize_base == "nf4" and not comes_quantized(read_config(base)):
        named["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=machine.compute,
        )
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            base,
            dtype=machine.compute,
            device_map={"": 0 if machine.device == "cuda" else "cpu"},
            attn_implementation="sdpa",
            **named,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise RequestError(f"The base model {base} cannot be loaded: {error}") from error
    if isinstance(model.get_output_embeddings(), Linear4bit):
        raise RequestError(
            f"The base model {base} has its output layer (lm_head) in NF4 too, which cannot be"
            " trained with. Take a version of it that leaves lm_head out, as bitsandbytes does by"
            " default."
        )
    _compute_in(model, machine.compute)
    if named:
        make_scales_on_cpu(model, base)
    return model


def _compute_in(model: PreTrainedModel, compute: torch.dtype) -> None:
    """Makes NF4 layers compute in this type: a base that comes quantized may name another one."""
    for layer in model.modules():
        if isinstance(layer, Linear4bit):
            layer.compute_dtype = compute


def load_fast_policy(
    base: Path, start: Path | None, training: Training, machine: Machine, checkpointing: bool
) -> PeftModel:
    """Loads the same policy as Unsloth loads and patches it.

    Unsloth has to be imported before anything of transformers. checkpointing: whether Unsloth
    computes activations again in the backward pass.
    """
    fast = import_module("unsloth").FastLanguageModel
    with redirect_stdout(sys.stderr):  # what it prints would stand among our JSON lines
        model, _ = fast.from_pretrained(
            str(base),
            max_seq_length=training.max_length,
            dtype=machine.compute,
            load_in_4bit=is_nf4(read_config(base), training),
            fix_tokenizer=False,
            random_state=training.seed,
        )
        model.config.use_cache = False
        _compute_in(model, machine.compute)
        if not comes_quantized(read_config(base)):
            make_scales_on_cpu(model, base)
        _check_targets(model, training)
        if start is not None:
            check_start(start, training)
        policy = fast.get_peft_model(
            model,
            **ranks_and_scales(training),
            lora_dropout=training.lora_dropout,
            bias="none",
            target_modules=list(training.target_modules),
            use_gradient_checkpointing="unsloth" if checkpointing else False,
            random_state=training.seed,
        )
    # Unsloth writes a mapping and perhaps a pattern; PEFT needs neither
    config = policy.peft_config["default"]
    config.auto_mapping = None
    config.target_modules = set(training.target_modules)
    _take_start(policy, start)
    return policy


def _take_start(policy: PeftModel, start: Path | None) -> None:
    """Makes the adapter's weights float32: those of `start`, or its own."""
    if start is None:
        for _, weight in lora_weights(policy):
            weight.data = weight.data.float()
        return
    saved = read_start_weights(policy, start)
    for name, weight in lora_weights(policy):
        weight.data = saved[name].to(weight.device).float()


def _lora(training: Training) -> LoraConfig:
    return LoraConfig(
        **ranks_and_scales(training),
        lora_dropout=training.lora_dropout,
        bias="none",
        target_modules=list(training.target_modules),
        task_type="CAUSAL_LM",
    )


def _check_targets(model: PreTrainedModel, training: Training) -> None:
    """Refuses a target that the model does not have.

    PEFT leaves such a target out in silence if the model has another one.
    """
    linear = set()
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear):
            linear.add(name.rpartition(".")[2])
    unknown = [target for target in training.target_modules if target not in linear]
    if unknown:
        raise RequestError(
            f"training.target_modules names {', '.join(unknown)}, which the base model does not"
            f" have; its linear layers are {', '.join(sorted(linear))}."
        )


def _new(model: PreTrainedModel, training: Training) -> PeftModel:
    """Adds a new adapter to the model."""
    _check_targets(model, training)
    return get_peft_model(model, _lora(training))


def _continued(model: PreTrainedModel, start: Path, training: Training) -> PeftModel:
    """Adds the adapter of `start`, each matrix of which has to have a counterpart."""
    check_start(start, training)
    try:
        policy = PeftModel.from_pretrained(model, start, is_trainable=True)
    except (OSError, RuntimeError, SafetensorError) as error:
        problem = str(error).strip().splitlines()[-1].strip()
        raise RequestError(
            f"The adapter {start} was made for another base model, or is damaged: {problem}"
        ) from error
    read_start_weights(policy, start)  # raises if the matrices are not the policy's
    return policy
