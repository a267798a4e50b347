"""The Unsloth part of engine.py, as Unsloth's documentation shows it: 2 rows, 8 times, its own checkpointing.

python tests/gpu/unsloth_sft.py BASE OUT [--tiny]
"""

import sys
from pathlib import Path

from unsloth import FastLanguageModel  # isort: skip - first, for it replaces parts of the others

import torch
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from tasks.core.settings import Training
from tests.gpu.timing import FULL, TINY, Size, blocks_of, measure


def main(size: Size, base: Path, out: Path) -> None:
    settings = Training()
    model, tokenizer = FastLanguageModel.from_pretrained(
        str(base), max_seq_length=size.tokens, load_in_4bit=True, dtype=torch.bfloat16
    )
    model = FastLanguageModel.get_peft_model(
        model,
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        target_modules=list(settings.target_modules),
        use_gradient_checkpointing="unsloth",
    )
    ids = [sum(block, []) for block in blocks_of(size)]
    arguments = SFTConfig(
        output_dir=str(base.parent / "trainer"),
        per_device_train_batch_size=2,
        gradient_accumulation_steps=size.blocks // 2,
        max_steps=size.steps,
        max_length=size.tokens,
        optim="adamw_8bit",
        bf16=True,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    rows = Dataset.from_dict({"input_ids": ids, "labels": ids})
    trainer = SFTTrainer(model=model, args=arguments, train_dataset=rows, processing_class=tokenizer)
    # its batches go round our counting: every step has all its blocks
    measure("Unsloth, 2 x 8", trainer, lambda: trainer.state.global_step * size.blocks * size.tokens, out)


if __name__ == "__main__":
    main(TINY if "--tiny" in sys.argv else FULL, *map(Path, sys.argv[1:3]))
