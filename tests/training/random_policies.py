"""Policies with random weights and an adapter that does something, and PEFT's pass over rows."""

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from tasks.core.training.policy.adapter import lora_weights
from tasks.core.training.rows.records import IGNORED, Conversation, Row
from tests.training.encoded import VOCABULARY

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def config_of(family: str, **changes):
    sizes = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "vocab_size": VOCABULARY,
    }
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False}
    return AutoConfig.for_model(
        family, **(sizes | heads | {"attn_implementation": "sdpa"} | changes)
    )


def policy_of(family: str, dtype: torch.dtype = torch.float32, targets=ALL, **changes) -> PeftModel:
    """Random weights, biases and norms, and an adapter that does something."""
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(config_of(family, **changes))
    for name, weight in model.named_parameters():
        if name.endswith("bias") or "norm" in name:
            weight.data.add_(0.3 * torch.randn_like(weight))
    policy = get_peft_model(
        model.to(dtype), LoraConfig(r=4, lora_alpha=8, target_modules=targets, bias="none")
    )
    return with_adapter(policy)


def with_adapter(policy: PeftModel) -> PeftModel:
    for name, weight in lora_weights(policy):
        weight.data = weight.data.float()
        if "lora_B" in name:
            weight.data.normal_(0, 0.1)
    return policy.train()


def answers_of(rows: list[Row]) -> list[tuple[list[int], list[int]]]:
    """Ids and labels of every answer alone."""
    answers = []
    for row in rows:
        if isinstance(row, Conversation):
            answers.append((row.input_ids.tolist(), row.labels.tolist()))
            continue
        prompt = row.prompt_ids.tolist()
        for answer in (row.chosen_ids.tolist(), row.rejected_ids.tolist()):
            answers.append((prompt + answer, [IGNORED] * len(prompt) + answer))
    return answers


def by_peft(policy: PeftModel, rows: list[Row]) -> torch.Tensor:
    """Each answer's sum of log-probs, one forward pass of the transformers model an answer."""
    sums = []
    for ids, labels in answers_of(rows):
        logits = policy(input_ids=torch.tensor([ids]), use_cache=False).logits[0, :-1].float()
        targets = torch.tensor(labels[1:])
        log_probs = logits.log_softmax(-1).gather(1, targets.clamp(min=0)[:, None])[:, 0]
        sums.append((log_probs * (targets != IGNORED)).sum())
    return torch.stack(sums)
