"""The Unsloth parts of engine.py, as Unsloth's documentation shows them: its own checkpointing and
its own trainers.

python tests/gpu/unsloth_parts.py sft|packed|dpo BASE OUT [--tiny]
"""

import sys
from pathlib import Path

import torch
from datasets import Dataset
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

# isort: skip - first, for it replaces parts of the others
from unsloth import FastLanguageModel, PatchDPOTrainer

from tasks.core.settings.tree import Training
from tests.gpu.timing import FULL, TINY, Size, blocks, columns_of, measure, pairs, sft_rows


def load(base: Path):
    settings = Training()
    model, tokenizer = FastLanguageModel.from_pretrained(
        str(base), max_seq_length=2048, load_in_4bit=True, dtype=torch.bfloat16
    )
    model = FastLanguageModel.get_peft_model(
        model,
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        target_modules=list(settings.target_modules),
        use_gradient_checkpointing="unsloth",
    )
    return model, tokenizer


def common(base: Path, micro_batch: int, accumulation: int, steps: int) -> dict:
    return {
        "output_dir": str(base.parent / "trainer"),
        "per_device_train_batch_size": micro_batch,
        "gradient_accumulation_steps": accumulation,
        "max_steps": steps,
        "max_length": 2048,
        "optim": "adamw_8bit",
        "bf16": True,
        "logging_steps": steps,  # as seldom as the engine
        "save_strategy": "no",
        "report_to": "none",
    }


def sft(size: Size, base: Path, out: Path, packed: bool) -> None:
    model, tokenizer = load(base)
    rows = blocks(size) if packed else sft_rows(size, size.rows)
    arguments = SFTConfig(
        **common(base, 2, size.rows // 2, size.steps), dataset_kwargs={"skip_prepare_dataset": True}
    )
    columns = columns_of(rows, ("input_ids", "labels"))
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
    )
    measure("Unsloth, 2 x 8" + (", packed" if packed else ""), trainer, out)


class Untouched(DPOTrainer):
    """The pairs come as tokens."""

    def _prepare_dataset(self, dataset, *args, **kwargs):
        return dataset


def dpo(size: Size, base: Path, out: Path) -> None:
    model, tokenizer = load(base)
    rows = pairs(size)
    columns = columns_of(rows, ("prompt_ids", "chosen_ids", "rejected_ids"))
    trainer = Untouched(
        model=model,
        args=DPOConfig(**common(base, 1, size.pairs, size.steps), beta=0.1),
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
    )
    measure("Unsloth DPO, 1 x 8", trainer, out, of_step=size.pairs)


if __name__ == "__main__":
    part, chosen = sys.argv[1], TINY if "--tiny" in sys.argv else FULL
    base_and_out = [Path(argument) for argument in sys.argv[2:4]]
    if part == "dpo":
        PatchDPOTrainer()
        dpo(chosen, *base_and_out)
    else:
        sft(chosen, *base_and_out, packed=part == "packed")
