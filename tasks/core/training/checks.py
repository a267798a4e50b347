"""What has to be true before the first step and after the last one; a failure stops the stage and says by how much.

Every figure goes into checks.json. Each check raises WorkError.
"""

import math
from itertools import zip_longest
from typing import Any
from unicodedata import normalize

import torch
from peft import PeftModel
from transformers import PreTrainedTokenizerFast

from tasks.core.errors import WorkError
from tasks.core.training.model import lora_weights
from tasks.core.training.rows import IGNORED

LN2_TOLERANCE = 1e-3  # of the DPO loss at ln 2 and of the rewards at 0
LOG_PROB_TOLERANCE = 1e-2  # nats per sequence: the same weights and kernels, so only the order of sums may differ
SAME_AS_PEFT = {torch.float32: 1e-4, torch.bfloat16: 2e-2}  # mean nats per token of an answer
MOVED_SHARE = 0.9  # of the LoRA elements, after a stage
ROWS_DECODED = 1_000  # decoding all of 200,000 rows takes longer than it tells; the rows are in random order


def check_masks(tokenizer: PreTrainedTokenizerFast, rows: list[dict[str, Any]], whole_text: bool) -> dict[str, Any]:
    """Something is trained in every row; every answer ends in a trained EOS and is trained from its first character on.

    The rows' `answers` are the texts; those of the first ROWS_DECODED rows are compared with what the trained ids say.
    whole_text: the prompts are trained too, so only the EOS can be looked for.
    """
    answers = [_answers(row) for row in rows]
    empty = sum(not any(row) for row in answers)
    if empty:
        raise WorkError(f"{empty} of {len(rows)} rows have no trained token; their assistant turn is empty.")
    eos = tokenizer.eos_token_id
    without = sum(eos not in answer if whole_text else answer[-1] != eos for row in answers for answer in row)
    if without:
        raise WorkError(f"{without} answers do not end in a trained {tokenizer.eos_token}: the model would never stop.")
    decoded = [] if whole_text else list(zip(rows, answers, strict=True))[:ROWS_DECODED]
    for row, ids in decoded:
        _check_decoded(tokenizer, ids, row["answers"])
    trained = sum(len(answer) for row in answers for answer in row)
    positions = sum(row["positions"] for row in rows)
    return {
        "rows": len(rows),
        "positions": positions,
        "trained_share": round(trained / positions, 4),
        "answers_with_trained_eos": sum(map(len, answers)),
        "rows_decoded_to_their_answers": len(decoded),
    }


def _check_decoded(tokenizer: PreTrainedTokenizerFast, ids: list[list[int]], texts: list[str]) -> None:
    # Qwen's tokenizer composes Unicode (NFC) before it splits
    trained = [normalize("NFC", tokenizer.decode(answer, clean_up_tokenization_spaces=False)) for answer in ids]
    wanted = [normalize("NFC", text + tokenizer.eos_token) for text in texts]
    if trained != wanted:
        got, want = next((g, w) for g, w in zip_longest(trained, wanted, fillvalue="") if g != w)
        raise WorkError(f"The trained tokens say {got[:60]!r} where the answer is {want[:60]!r}: the mask is wrong.")


def _answers(row: dict[str, Any]) -> list[list[int]]:
    """The runs of trained tokens of a row."""
    if "chosen_ids" in row:
        return [answer for answer in (row["chosen_ids"], row["rejected_ids"]) if answer]
    runs: list[list[int]] = [[]]
    for label in row["labels"]:
        if label == IGNORED:
            runs.append([])
        else:
            runs[-1].append(label)
    return [run for run in runs if run]


def check_float32(policy: PeftModel) -> dict[str, Any]:
    """Every LoRA weight is float32: in bf16 small updates vanish, and a resumed run differs."""
    wrong = [name for name, weight in lora_weights(policy) if weight.dtype != torch.float32]
    if wrong:
        raise WorkError(f"{len(wrong)} LoRA weights are not float32, the first is {wrong[0]}.")
    return {"lora_dtype": "float32", "lora_parameters": sum(weight.numel() for _, weight in lora_weights(policy))}


def check_same_weights(policy: PeftModel, expected: dict[str, torch.Tensor], whose: str) -> None:
    """The policy's LoRA weights are exactly these."""
    for name, weight in lora_weights(policy):
        if name not in expected or not torch.equal(weight.detach().cpu(), expected[name].float()):
            raise WorkError(f"The policy's {name} is not {whose}'s.")


def check_gradients(policy: PeftModel, loss: torch.Tensor) -> dict[str, Any]:
    """A backward pass reaches every LoRA matrix. B starts at zero, so A's gradient may be zero, but it is there."""
    loss.backward()
    without = [name for name, weight in lora_weights(policy) if weight.grad is None]
    silent = [
        name
        for name, weight in lora_weights(policy)
        if "lora_B" in name and weight.grad is not None and not weight.grad.any()
    ]
    policy.zero_grad(set_to_none=True)
    if without or silent:
        raise WorkError(f"{len(without) + len(silent)} LoRA matrices get no gradient, e.g. {(without + silent)[0]}.")
    return {"matrices_with_gradient": sum(1 for _ in lora_weights(policy))}


def check_engine(alone: torch.Tensor, packed: torch.Tensor, dtype: torch.dtype) -> dict[str, Any]:
    """The engine's log-probs of packed rows are those that PEFT computes for each row alone; nats per token."""
    gap = (alone - packed).abs().max().item()
    if not gap <= SAME_AS_PEFT[dtype]:
        raise WorkError(
            f"The engine's log-probs of packed rows differ from PEFT's by {gap:.4f} nats a token, more than"
            f" {SAME_AS_PEFT[dtype]:g}. Use training.backend=trl."
        )
    return {"engine_against_peft": round(gap, 6)}


def check_reference(told: dict[str, float]) -> dict[str, Any]:
    """On the starting policy's weights DPO's loss is ln 2, its rewards 0, and both sides' log-probs the reference's.

    told: loss, reward (largest absolute), log_prob_gap (largest, nats per sequence).
    """
    if abs(told["loss"] - math.log(2)) > LN2_TOLERANCE:
        raise WorkError(f"Before the first step the DPO loss is {told['loss']:.6f}, not ln 2 = {math.log(2):.6f}.")
    if told["reward"] > LN2_TOLERANCE:
        raise WorkError(f"Before the first step a reward is {told['reward']:.6f}, not 0.")
    if told["log_prob_gap"] > LOG_PROB_TOLERANCE:
        raise WorkError(f"The policy's log-probs differ from its reference's by {told['log_prob_gap']:.4f} nats.")
    return {"dpo_at_start": told}


def check_moved(policy: PeftModel, before: dict[str, torch.Tensor], strict: bool) -> dict[str, Any]:
    """Share of the LoRA elements that changed. Strict: at least MOVED_SHARE of them."""
    total = moved = 0
    for name, weight in lora_weights(policy):
        total += weight.numel()
        moved += int((weight.detach().cpu() != before[name]).sum())
    share = moved / total
    if share == 0 or (strict and share < MOVED_SHARE):
        raise WorkError(f"Only {100 * share:.1f} % of the LoRA elements moved: part of the adapter was not trained.")
    return {"elements_moved_share": round(share, 4)}
