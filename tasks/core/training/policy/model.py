"""The policy: an NF4 base with a LoRA adapter whose weights are float32."""

import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from bitsandbytes import cextension
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
)

from tasks.core.errors import RequestError, WorkError
from tasks.core.files.digests import digest_file
from tasks.core.settings.tree import Training
from tasks.core.training.hardware.machine import Machine

ADAPTER_FILE = "adapter_model.safetensors"
_CHATML = "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>"


def check_library(machine: Machine) -> None:
    """Raises RequestError where there is a GPU and bitsandbytes came without the library for it."""
    if machine.device == "cuda" and not cextension.lib.compiled_with_cuda:
        there = ", ".join(cextension.get_available_cuda_binary_versions()) or "none"
        raise RequestError(
            f"There is a GPU ({machine.name}), but bitsandbytes has no library that works with this PyTorch's CUDA"
            f" {torch.version.cuda} (it has those for CUDA {there}), so nothing can be held in 4 bit. Install both anew"
            " (`uv sync --reinstall-package bitsandbytes --reinstall-package torch`), or set BNB_CUDA_VERSION to one of"
            " those that is installed here, e.g. 124. `python -m bitsandbytes` says more."
        )


def load_tokenizer(base: Path, template: str = "any") -> PreTrainedTokenizerFast:
    """The base's tokenizer. Raises RequestError if it, its EOS or the chat template
    (training.template) is missing.
    """
    if not (base / "tokenizer.json").exists():
        there = (
            ", ".join(sorted(file.name for file in base.iterdir()))
            if base.is_dir()
            else "no such folder"
        )
        raise RequestError(
            f"The base model {base} has no tokenizer.json (it has: {there}). Use a complete model folder."
        )
    tokenizer = AutoTokenizer.from_pretrained(base)
    if not tokenizer.chat_template:
        raise RequestError(
            f"The base model {base} has no chat template; use an instruction-tuned model."
        )
    probe = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    rendered = tokenizer.apply_chat_template(probe, tokenize=False)
    if not tokenizer.eos_token or tokenizer.eos_token not in rendered:
        raise RequestError(
            f"The chat template of {base} never writes its EOS token {tokenizer.eos_token!r}."
        )
    if template == "chatml" and _CHATML not in rendered:
        raise RequestError(
            f"The chat template of {base} is not ChatML, which releases are served with: it renders {rendered[-80:]!r}."
            " Use a base with ChatML; or training.template=any, which trains it and cannot release it."
        )
    # transformers may add tokens that the base has no embedding of
    vocabulary, size = tokenizer.get_vocab(), read_config(base).get_text_config().vocab_size
    if tokenizer.pad_token in (None, tokenizer.eos_token) or tokenizer.pad_token_id >= size:
        # the EOS as padding would be masked out of the loss, and the model would never learn to
        # stop
        spare = [
            token
            for token in ("<|endoftext|>", "<pad>", "<unk>")
            if vocabulary.get(token, size) < size
        ]
        if not spare:
            raise RequestError(
                f"The tokenizer of {base} pads with its EOS {tokenizer.eos_token!r}, which would never be learnt, and"
                " has no other padding token. Set pad_token in its tokenizer_config.json to an unused token."
            )
        tokenizer.pad_token = spare[0]
    return tokenizer


def read_config(base: Path) -> PreTrainedConfig:
    """The base's configuration. Raises RequestError if there is none."""
    try:
        return AutoConfig.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise RequestError(f"The base model {base} cannot be loaded: {error}") from error


def load_policy(
    base: Path, start: Path | None, training: Training, machine: Machine, nf4: bool | None = None
) -> PeftModel:
    """The NF4 base with a new adapter, or with the one of `start`, all of whose weights are
    trained.

    nf4: the base stays NF4, else its values are kept in the compute type; None: NF4 on a GPU.
    """
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=machine.compute,
    )
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base,
            quantization_config=quantization,
            dtype=machine.compute,
            device_map={"": 0} if machine.device == "cuda" else {"": "cpu"},
            attn_implementation="sdpa",
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise RequestError(f"The base model {base} cannot be loaded: {error}") from error
    if not (machine.device == "cuda" if nf4 is None else nf4):
        keep_dequantized(model)
    model.config.use_cache = False
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    torch.manual_seed(training.seed)
    if start is None:
        _check_targets(model, training)
        policy = get_peft_model(model, _lora(training))
    else:
        _check_start(start, training)
        policy = _continued(model, start)
    for _, weight in lora_weights(policy):
        weight.data = weight.data.float()
    return policy


def load_fast_policy(
    base: Path, start: Path | None, training: Training, machine: Machine, checkpointing: bool
) -> PeftModel:
    """The same policy as Unsloth loads and patches it; Unsloth was imported before anything of
    transformers.
    """
    fast = import_module("unsloth").FastLanguageModel
    with redirect_stdout(sys.stderr):  # its words would stand among our JSON lines
        model, _ = fast.from_pretrained(
            str(base),
            max_seq_length=training.max_length,
            dtype=machine.compute,
            load_in_4bit=True,
            fix_tokenizer=False,
            random_state=training.seed,
        )
        model.config.use_cache = False
        _check_targets(model, training)
        if start is not None:
            _check_start(start, training)
        policy = fast.get_peft_model(
            model,
            **_ranks(training),
            lora_dropout=training.lora_dropout,
            bias="none",
            target_modules=list(training.target_modules),
            use_gradient_checkpointing="unsloth" if checkpointing else False,
            random_state=training.seed,
        )
    config = policy.peft_config[
        "default"
    ]  # Unsloth writes a mapping and perhaps a pattern; PEFT needs neither
    config.auto_mapping, config.target_modules = None, set(training.target_modules)
    saved = _counterparts(policy, start) if start else {}
    for name, weight in lora_weights(policy):
        weight.data = saved[name].to(weight.device).float() if saved else weight.data.float()
    return policy


def keep_dequantized(model: torch.nn.Module) -> None:
    """Replaces every 4-bit layer by a plain one that holds the very values NF4 computes with.

    bitsandbytes dequantizes a layer each time it is used, forward and backward; on a CPU that takes
    most of the time.
    """
    for name, layer in list(model.named_modules()):
        if isinstance(layer, Linear4bit):
            weight = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
            plain = torch.nn.Linear(
                layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta"
            )
            plain.weight = torch.nn.Parameter(weight.to(layer.compute_dtype), requires_grad=False)
            plain.bias = layer.bias
            model.set_submodule(name, plain)
    # to transformers, PEFT and TRL it is a plain model now
    del model.config.quantization_config
    model.hf_quantizer, model.is_quantized, model.is_loaded_in_4bit = None, False, False


def lora_weights(policy: PeftModel) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """The adapter's matrices, by name."""
    return ((name, weight) for name, weight in policy.named_parameters() if ".lora_" in name)


def saved_weights(folder: Path) -> dict[str, torch.Tensor]:
    """An adapter file's tensors under the names that `lora_weights` uses."""
    tensors = load_file(folder / ADAPTER_FILE)
    return {name.replace(".weight", ".default.weight"): tensor for name, tensor in tensors.items()}


def load_weights(policy: PeftModel, saved: dict[str, torch.Tensor]) -> None:
    """Gives the policy an adapter's weights, as `saved_weights` reads them."""
    for name, weight in lora_weights(policy):
        weight.data.copy_(saved[name])


def adapter_digests(folder: Path) -> dict[str, str]:
    """sha256 of the files that are an adapter. Raises RequestError if they are not there."""
    try:
        return {name: digest_file(folder / name) for name in ("adapter_config.json", ADAPTER_FILE)}
    except OSError as error:
        raise RequestError(f"{folder} is no adapter folder: {error}.") from error


def _lora(training: Training) -> LoraConfig:
    return LoraConfig(
        **_ranks(training),
        lora_dropout=training.lora_dropout,
        bias="none",
        target_modules=list(training.target_modules),
        task_type="CAUSAL_LM",
    )


def _ranks(training: Training) -> dict[str, Any]:
    """PEFT's names for the ranks and scales; alpha grows with a module's rank, so that alpha / r
    stays the same.
    """
    rank, alpha = training.lora_rank, training.lora_alpha
    odd = {name: own for name, own in training.module_ranks.items() if own != rank}
    alphas = {name: alpha * own / rank for name, own in odd.items()}
    return {"r": rank, "lora_alpha": alpha, "rank_pattern": odd, "alpha_pattern": alphas}


def _check_targets(model: torch.nn.Module, training: Training) -> None:
    """Refuses a target that the model does not have: PEFT leaves it out in silence as long as
    another one is there.
    """
    there = {
        name.rpartition(".")[2]
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear)
    }
    unknown = [target for target in training.target_modules if target not in there]
    if unknown:
        raise RequestError(
            f"training.target_modules names {', '.join(unknown)}, which the base model does not have;"
            f" its linear layers are {', '.join(sorted(there))}."
        )


def _continued(model: torch.nn.Module, start: Path) -> PeftModel:
    """The model with the adapter of `start`, all of whose matrices found their place."""
    try:
        policy = PeftModel.from_pretrained(model, start, is_trainable=True)
    except (OSError, RuntimeError, SafetensorError) as error:
        problem = str(error).strip().splitlines()[-1].strip()
        raise RequestError(
            f"The adapter {start} was made for another base model, or is damaged: {problem}"
        ) from error
    _counterparts(policy, start)
    return policy


def _counterparts(policy: PeftModel, start: Path) -> dict[str, torch.Tensor]:
    """The weights saved in `start`, after it was checked that they are the policy's, each by name
    and shape.
    """
    saved = saved_weights(start)
    odd = {name: tuple(weight.shape) for name, weight in lora_weights(policy)}.items() ^ {
        name: tuple(weight.shape) for name, weight in saved.items()
    }.items()
    if odd:
        names = sorted({name for name, _ in odd})
        raise RequestError(
            f"The adapter {start} was made for another base model: {len(names)} matrices have no counterpart, the first"
            f" is {names[0]}."
        )
    return saved


def _check_start(start: Path, training: Training) -> None:
    """Refuses an adapter of another shape than the settings ask for."""
    try:
        config = json.loads((start / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RequestError(f"{start} is no adapter folder: {error}.") from error
    found = {"rank_pattern": {}, "alpha_pattern": {}} | config
    wrong = [
        f"{name} {found.get(name)} (settings: {value})"
        for name, value in _ranks(training).items()
        if found.get(name) != value
    ]
    if set(config["target_modules"]) != set(training.target_modules):
        wrong.append(
            f"target_modules {sorted(config['target_modules'])} (settings: {sorted(training.target_modules)})"
        )
    if wrong:
        raise RequestError(
            f"The adapter {start} has {'; '.join(wrong)}. Train the earlier stage with these settings."
        )


def save_adapter(
    policy: PeftModel, tokenizer: PreTrainedTokenizerFast, base: Path, out: Path
) -> None:
    """Writes the adapter and the base's tokenizer and template. The bytes depend on the weights
    only.
    """
    policy.peft_config[
        "default"
    ].base_model_name_or_path = ""  # a folder of this machine would get into the bytes
    policy.save_pretrained(out, safe_serialization=True)
    (out / "README.md").unlink(missing_ok=True)  # PEFT's; ours says more
    file = out / "adapter_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["target_modules"] = sorted(config["target_modules"])
    config["inference_mode"] = True
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    tokenizer.save_pretrained(out)
    template = base / "chat_template.jinja"
    text = template.read_text(encoding="utf-8") if template.exists() else tokenizer.chat_template
    (out / "chat_template.jinja").write_text(text, encoding="utf-8")
    if not (out / ADAPTER_FILE).exists():
        raise WorkError(f"PEFT wrote no {ADAPTER_FILE} into {out}.")
