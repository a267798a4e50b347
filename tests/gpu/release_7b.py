"""What a release costs at Qwen2.5-7B's shape: time and memory of merge, gguf, quantize, imatrix and
the computed hops of parity.

    python tests/gpu/release_7b.py WORK TOKENIZER ROWS PART,PART… [--tiny]      from the
        repository's root; --tiny rehearses it on a CPU

Parts, in this order: make, merge, nf4, gguf, imatrix, parity. TOKENIZER is a folder with
Qwen2.5's tokenizer and its chat template; ROWS holds rows.jsonl of `synthesize` and
rows.parquet of `normalize`. WORK, a new folder with 55 GB free, keeps the files of each part for
the next ones. llama.cpp is found as kospilot finds it. The weights are random: what is measured is
time, memory and the sameness of values; limits of a quantization say nothing of such a model, so
parity's are told and not enforced.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from peft.utils import set_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM

from tasks.core.data.base_model.config import base_config
from tasks.core.parity.figures import Figures
from tasks.core.parity.hop import F16, MERGED, QUANTIZED, REFERENCE
from tasks.core.parity.jobs import LlamaJob, TorchJob
from tasks.core.parity.limits import BY_TYPE, CONVERSION, MERGE, breaches
from tasks.core.parity.program import run_job
from tasks.core.parity.prompts import Prompts, Rows, choose_prompts, write_prompts
from tasks.core.parity.proof import Release, computed_figures
from tasks.core.parity.report import table_lines
from tasks.core.records.artifacts import no_progress
from tasks.core.records.training_base import (
    TrainingBase,
    read_training_base,
    write_training_base,
)
from tasks.core.release.gguf import convert
from tasks.core.release.imatrix import compute_imatrix
from tasks.core.release.quantization import Quantization
from tasks.core.release.quantize import quantize
from tasks.core.settings.home import kospilot_home
from tasks.core.settings.tree import Training
from tasks.core.tools import find_llama_cpp
from tasks.core.training.hardware.machine import find_machine
from tasks.core.training.policy.loading import load_policy
from tasks.core.training.policy.quantized import describe_base
from tests.bench.merge import COPY, MODULES, VALUES, measure, show
from tests.bench.merge import MERGE as MERGING

FULL = base_config("Qwen/Qwen2.5-7B-Instruct", Path())  # written down there, so nothing is fetched
TINY = FULL | {
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
RANK = 16
QUANTIZATION = "Q4_K_M"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class Work:
    """The folders that the parts share."""

    folder: Path
    tokenizer: Path
    rows: Path
    shape: dict[str, Any]

    @property
    def base(self) -> Path:
        return self.folder / "base"

    @property
    def adapter(self) -> Path:
        return self.folder / "adapter"

    @property
    def merged(self) -> Path:
        return self.folder / "out"  # where tests/bench/merge.py has it

    @property
    def f16(self) -> Path:
        return self.folder / "gguf" / "model-f16.gguf"

    @property
    def quantized(self) -> Path:
        return self.folder / "gguf" / "model.gguf"


def make(work: Work) -> None:
    """The base, as the hub has it, and an adapter on all of its linear layers."""
    start = time.perf_counter()
    torch.manual_seed(1)
    config = Qwen2Config(
        **work.shape,
        max_position_embeddings=32_768,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        bos_token_id=151_643,
        eos_token_id=151_645,
        pad_token_id=151_643,
    )
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(DEVICE):
        model = Qwen2ForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    model.save_pretrained(work.base, max_shard_size="4GB")
    for file in work.tokenizer.iterdir():
        if file.name.startswith(("tokenizer", "chat_template")):
            shutil.copyfile(file, work.base / file.name)
    _make_adapter(model, work.adapter)
    size = _size(work.base)
    print(f"made {size / 1e9:.2f} GB of random weights in {time.perf_counter() - start:.0f} s")


def _make_adapter(model: Qwen2ForCausalLM, folder: Path) -> None:
    """An adapter whose matrices are as large as trained ones."""
    tensors = {}
    for name, layer in model.named_modules():
        if name.rpartition(".")[2] in MODULES:
            right = torch.randn(RANK, layer.in_features) / layer.in_features**0.5
            left = torch.randn(layer.out_features, RANK) * 0.01
            tensors[f"base_model.model.{name}.lora_A.weight"] = right
            tensors[f"base_model.model.{name}.lora_B.weight"] = left
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    LoraConfig(
        r=RANK, lora_alpha=2 * RANK, target_modules=MODULES, task_type="CAUSAL_LM"
    ).save_pretrained(folder)


def merge(work: Work) -> None:
    """Into the base's own values, beside copying them and PEFT's merge."""
    _touch_memory(2 * _size(work.base) + (12 << 30))
    write_training_base(work.adapter, TrainingBase("none", "bfloat16"))
    print(f"a base of {_size(work.base) / 1e9:.2f} GB, {torch.get_num_threads()} threads")
    copied = measure(COPY, work.folder, "", 2)
    show("copying", copied, copied)
    os.sync()
    show("merge into 16 bit", measure(MERGING, work.folder, "", 1), copied)
    model = AutoModelForCausalLM.from_pretrained(
        work.base, dtype=torch.float32, device_map={"": DEVICE}
    )
    _compare(PeftModel.from_pretrained(model, work.adapter), work.merged)


def merge_nf4(work: Work) -> None:
    """Into NF4's values as training holds them on this machine, digests compared."""
    start = time.perf_counter()
    machine = find_machine()
    training = Training(lora_rank=RANK, lora_alpha=2 * RANK, quantize_base="nf4")
    policy = load_policy(work.base, None, training, machine, nf4=False)
    loaded = time.perf_counter()
    trained = describe_base(policy, torch.bfloat16)
    write_training_base(work.adapter, trained)
    print(
        f"training: {loaded - start:.1f} s to load the base in NF4 on {machine.device},"
        f" {time.perf_counter() - loaded:.1f} s for the digests of {len(trained.tensors)} tensors"
    )
    os.sync()
    copied = measure(COPY, work.folder, "", 2)
    show("copying", copied, copied)
    values = measure(VALUES, work.folder, json.dumps(asdict(trained)), 1)
    show("NF4's values, checked", values, copied)
    os.sync()
    merged = measure(MERGING, work.folder, "", 1)
    show("merge into NF4's values", merged, copied)
    rest = (merged.seconds - values.seconds) / copied.seconds
    print(f"    without NF4's values {rest:.2f} x copying")
    policy.float()
    set_peft_model_state_dict(policy, load_file(work.adapter / "adapter_model.safetensors"))
    _compare(policy, work.merged)


def _compare(policy: PeftModel, merged: Path) -> None:
    """Prints how many values of a merged model PEFT's own merge, in float32, gives otherwise."""
    theirs = policy.merge_and_unload().state_dict()
    different = total = furthest = 0
    for file in sorted(merged.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  it is no dictionary
                ours = _ordered(tensors.get_tensor(name).to(DEVICE))
                steps = (ours - _ordered(theirs[name].half())).abs()
                different += int((steps > 0).sum())
                total += ours.numel()
                furthest = max(furthest, int(steps.max()))
    print(
        f"    against PEFT on {DEVICE}: {different:,} of {total:,} values differ, by {furthest}"
        " units in the last place at most"
    )


def _ordered(tensor: torch.Tensor) -> torch.Tensor:
    """F16 values as whole numbers in their order, one for each that can be written."""
    bits = tensor.view(torch.int16).to(torch.int32)
    return torch.where(bits < 0, -(bits & 0x7FFF), bits)


def gguf(work: Work) -> None:
    """Conversion and quantization beside the bare tools, in turn."""
    llama = find_llama_cpp(kospilot_home())
    assert llama, "install llama.cpp first, or name it in KOSPILOT_LLAMA_CPP"
    bare = work.folder / "bare"
    for folder in (bare, work.f16.parent):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    converter = [sys.executable, str(llama.converter), str(work.merged), "--outtype", "f16"]
    tools = [
        _seconds(lambda: _call(*converter, "--outfile", str(bare / work.f16.name))),
        _seconds(
            lambda: _call(
                str(llama.quantize),
                *(str(bare / name) for name in (work.f16.name, work.quantized.name)),
                QUANTIZATION,
            )
        ),
    ]
    shutil.rmtree(bare)
    ours = [
        _seconds(lambda: convert(work.merged, llama, work.f16.parent, no_progress)),
        _seconds(lambda: _quantize(work, None)),
    ]
    for name, theirs, seconds in zip(("gguf", "quantize"), tools, ours, strict=True):
        print(f"{name:10} bare tool {theirs:6.1f} s, kospilot {seconds:6.1f} s")
    print(
        f"both       {sum(ours) / sum(tools):.2f} times the bare tools, {sum(ours):.1f} s (limit"
        f" {1.10 * sum(tools) + 2:.1f} s)"
    )


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _quantize(work: Work, imatrix: Path | None) -> None:
    llama = find_llama_cpp(kospilot_home())
    assert llama, "it was there before"
    how = Quantization(QUANTIZATION, imatrix)
    metrics = quantize(work.quantized, work.f16, how, llama, no_progress)
    print(f"    {metrics['bytes'] / 1e9:.2f} GB, {metrics['bits_per_weight']} bits a weight")


def imatrix(work: Work) -> None:
    """What an importance matrix costs, and quantizing with it."""
    target = work.folder / "imatrix.gguf"
    card = _Card()
    rows = work.rows / "rows.jsonl"
    told: dict[str, Any] = {}
    seconds = _seconds(
        lambda: told.update(compute_imatrix(work.merged, work.f16, rows, target, no_progress))
    )
    print(f"imatrix    {seconds:6.1f} s, {card.peak_gb():.1f} GB of the card, {told}")
    print(f"quantize with it {_seconds(lambda: _quantize(work, target)):6.1f} s")


def parity(work: Work) -> None:
    """The four computed hops, each with its time; limits are told, not enforced."""
    start = time.perf_counter()
    rows = Rows(strategy=work.rows / "rows.jsonl", finance=work.rows / "rows.parquet")
    prompts = choose_prompts(rows, work.base)
    hops = work.folder / "hops"
    shutil.rmtree(hops, ignore_errors=True)
    hops.mkdir()
    write_prompts(prompts, hops / "prompts.json")
    print(
        f"prompts chosen in {time.perf_counter() - start:.1f} s: {len(prompts.prompts)}, of which"
        f" {len(prompts.answered)} are answered freely"
    )
    card = _Card()
    job = _torch_job(work, hops)
    seconds = _seconds(lambda: run_job("torch_hops", job, hops / "torch.json", no_progress))
    print(f"adapter and merged {seconds:6.1f} s, {card.peak_gb():.1f} GB of the card", flush=True)
    for name, file in ((F16, work.f16), (QUANTIZED, work.quantized)):
        hop = partial(_gguf_hop, name, file, hops)
        print(f"{name:10} {_seconds(hop):6.1f} s", flush=True)
    _tell(work, prompts, hops)
    print(f"all computed hops {time.perf_counter() - start:.0f} s")


def _gguf_hop(name: str, file: Path, hops: Path) -> None:
    job = LlamaJob(str(hops / "prompts.json"), name, str(file))
    run_job("llama_hop", job, hops / f"{name}-job.json", no_progress)


def _torch_job(work: Work, hops: Path) -> TorchJob:
    trained = read_training_base(work.adapter)
    return TorchJob(
        prompts=str(hops / "prompts.json"),
        base=str(work.base),
        adapter=str(work.adapter),
        trained=asdict(trained) if trained else None,
        merged=str(work.merged),
    )


def _tell(work: Work, prompts: Prompts, hops: Path) -> None:
    """Prints the figures, and the limits that they break."""
    release = Release(
        base=work.base,
        adapter=work.adapter,
        trained=read_training_base(work.adapter),
        merged=work.merged,
        f16=work.f16,
        quantized=work.quantized,
        quantization=QUANTIZATION,
    )
    names = (REFERENCE, MERGED, F16, QUANTIZED)
    figures: list[Figures] = [computed_figures(release, prompts, hops, name) for name in names]
    print("\n".join(table_lines(figures)))
    limits = (MERGE, CONVERSION, BY_TYPE[QUANTIZATION])
    for hop, before, limit in zip(figures[1:], figures, limits, strict=False):
        found = breaches(hop, before, limit)
        print(f"{hop.name}: {'; '.join(found) or 'within its limits'}")


class _Card:
    """The most memory of the card that anyone takes from now on, beyond what is taken now."""

    def __init__(self) -> None:
        self._peak = self._before = self._used()
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def peak_gb(self) -> float:
        self._done.set()
        self._watcher.join()
        return (self._peak - self._before) / 1e9

    def _watch(self) -> None:
        while not self._done.wait(0.1):
            self._peak = max(self._peak, self._used())

    @staticmethod
    def _used() -> int:
        if DEVICE == "cpu":
            return 0
        free, total = torch.cuda.mem_get_info()
        return total - free


def _touch_memory(size: int) -> None:
    """Takes memory once and gives it back: a virtual machine's first touch of it is slow."""
    block = bytearray(size if DEVICE == "cuda" else 1)
    for place in range(0, len(block), 4096):
        block[place] = 1


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


PARTS = {
    "make": make,
    "merge": merge,
    "nf4": merge_nf4,
    "gguf": gguf,
    "imatrix": imatrix,
    "parity": parity,
}


def main(folder: Path, tokenizer: Path, rows: Path, parts: str, *options: str) -> None:
    work = Work(folder, tokenizer, rows, TINY if "--tiny" in options else FULL)
    folder.mkdir(exist_ok=True)
    for part in parts.split(","):
        start = time.perf_counter()
        PARTS[part](work)
        print(f"[{part}: {time.perf_counter() - start:.0f} s]", flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), *sys.argv[4:])
