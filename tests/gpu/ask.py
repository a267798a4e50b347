"""Asks many questions at once on a GPU machine, without a grammar: what a model knows by itself.

    python tests/gpu/ask.py BASE ADAPTER QUESTIONS.jsonl REPLIES.jsonl

It runs from the repository's root. BASE is a model folder, ADAPTER a stage's folder or `none`; of
an evaluation's QUESTIONS only the messages are read. Writes a line {"id", "text", "cut"} for each
greedy reply; `cut` says that it did not end within MOST_TOKENS. Weights are merged in float32 and
asked in F16, as a release's are.
tests/gpu/graded.py grades the replies.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

MOST_TOKENS = 2_048
"""The longest right answer, a book of eight in Korean, has 1,800 tokens of SmolLM2's."""


def main(base: str, adapter: str, questions_file: Path, out: Path) -> None:
    """Asks all questions in one batch."""
    tokenizer = AutoTokenizer.from_pretrained(base, padding_side="left")
    model = merged(base, adapter)
    questions = [json.loads(line) for line in questions_file.read_text().splitlines()]
    began = time.monotonic()
    prompts = []
    for question in questions:
        prompts.append(
            tokenizer.apply_chat_template(
                question["messages"], tokenize=False, add_generation_prompt=True
            )
        )
    with out.open("w", encoding="utf-8") as file:
        for question, reply in zip(questions, replies(model, tokenizer, prompts), strict=True):
            file.write(json.dumps({"id": question["id"], **reply}, ensure_ascii=False) + "\n")
    print(f"{len(questions)} replies in {time.monotonic() - began:.0f} s: {out}", flush=True)


def merged(base: str, adapter: str) -> Any:
    """The model with the adapter folded in, in float16 on the card."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapter != "none":
        model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    return model.to("cuda", torch.float16).eval()


@torch.inference_mode()
def replies(model: Any, tokenizer: Any, prompts: list[str]) -> list[dict[str, Any]]:
    """Each prompt's greedy reply, and whether it was cut."""
    end = tokenizer.eos_token_id
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
    tokens = model.generate(
        **inputs.to("cuda"),
        max_new_tokens=MOST_TOKENS,
        do_sample=False,
        eos_token_id=end,
        pad_token_id=end,
    )
    told = []
    for ids in tokens[:, inputs["input_ids"].shape[1] :].tolist():
        kept = ids[: ids.index(end)] if end in ids else ids
        told.append({"text": tokenizer.decode(kept).strip(), "cut": end not in ids})
    return told


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(Path, sys.argv[3:5]))
