"""Two-layer models and adapters for merging's tests, and what PEFT makes of them."""

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, Qwen2Config, Qwen2ForCausalLM

MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PROMPT = torch.tensor([[5, 17, 40, 3, 88, 61]])

SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 96,
}


def silent(share, text):
    pass


def write_base(folder, dtype=torch.bfloat16, shard="50GB", tied=True, **changes):
    torch.manual_seed(7)
    config = Qwen2Config(**(SHAPE | changes), tie_word_embeddings=tied)
    model = Qwen2ForCausalLM(config)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):  # zeros are as good as none
            parameter.data = torch.randn_like(parameter) * 0.1
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    (folder / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    return folder


def load(folder, dtype=torch.bfloat16):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)


def load_nf4(folder, dtype=torch.bfloat16):
    """The base as bitsandbytes holds it for QLoRA."""
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    return AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=quantization, dtype=dtype, device_map="cpu"
    )


def train(model, **options):
    """The model with an adapter whose every trained value moved."""
    torch.manual_seed(11)
    settings = {"r": 8, "lora_alpha": 16, "target_modules": MODULES, "task_type": "CAUSAL_LM"}
    policy = get_peft_model(model, LoraConfig(**(settings | options)))
    for parameter in policy.parameters():
        if parameter.requires_grad:
            moved = parameter.float() + torch.randn(parameter.shape) * 0.1
            parameter.data = moved.to(parameter.dtype)
    return policy.eval()


def write_adapter(base, folder, **options):
    train(load(base), **options).save_pretrained(folder)
    return folder


def merged_by_peft(base, adapter):
    """PEFT's own merge in float32, rounded once to F16 as ours is."""
    policy = PeftModel.from_pretrained(load(base, torch.float32), adapter)
    return policy.merge_and_unload().half().state_dict()


def logits(model):
    with torch.no_grad():
        return model(PROMPT.to(model.device)).logits
