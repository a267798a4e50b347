"""One hop that llama.cpp computes: the F16 GGUF or the quantized one.

    python -m tasks.core.parity.llama_hop JOB.json

Reads prompts.json and the reference's files; writes the hop's files beside them. In a process of
its own, because a damaged GGUF may end it.
"""

import sys
import time
from dataclasses import asdict
from pathlib import Path

from tasks.core.errors import WorkError
from tasks.core.files.json_files import write_json
from tasks.core.parity.hop import measure
from tasks.core.parity.jobs import GgufFacts, LlamaJob
from tasks.core.parity.llama_cpp import LlamaModel
from tasks.core.parity.program import child_progress, run_program
from tasks.core.parity.prompts import Prompts, read_prompts
from tasks.core.processes.cores import threads


def main(job: LlamaJob) -> None:
    """Measures the model."""
    start = time.perf_counter()
    file = Path(job.prompts)
    prompts = read_prompts(file)
    model = LlamaModel(Path(job.gguf), prompts.longest, threads())
    highest = max(max(prompt.tokens + prompt.answer) for prompt in prompts.prompts)
    if model.vocabulary <= highest:
        raise WorkError(
            f"{job.gguf} has {model.vocabulary} tokens, and the prompts use token {highest}: it is"
            " another model's file"
        )
    measure(model, prompts, file.parent, job.name, child_progress(job.name))
    facts = GgufFacts(
        seconds=time.perf_counter() - start,
        vocabulary=model.vocabulary,
        eos=model.eos,
        ends=model.ends(prompts.end),
        chat_template=model.chat_template,
        other_tokens=_other_tokens(model, prompts),
    )
    write_json(file.parent / f"{job.name}-facts.json", asdict(facts))


def _other_tokens(model: LlamaModel, prompts: Prompts) -> list[str]:
    """Names of the prompts that llama.cpp cuts otherwise than the training tokenizer."""
    others = []
    for prompt in prompts.prompts:
        if model.tokenize(prompt.text) != prompt.tokens:
            others.append(prompt.name)
    return others


if __name__ == "__main__":
    sys.exit(run_program(LlamaJob, main))
