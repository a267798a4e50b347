"""Turns a Hugging Face model folder into one F16 GGUF with llama.cpp's own converter, and reads the
result back.

Writes model-f16.gguf. What ruins most releases is checked here: the end-of-answer token and the
chat template.
"""

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from tasks.core.errors import WorkError
from tasks.core.files.json_files import read_json
from tasks.core.processes.child import run_child
from tasks.core.records.artifacts import Progress
from tasks.core.release.gguf_file import GgufFile, read_gguf
from tasks.core.release.space import check_space
from tasks.core.tools import LlamaCpp

_NAME = "kospilot"
"""The model's name in the metadata, and the name of the folder as the converter sees it: from a
folder's name it also guesses size and version.
"""

_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
"""What a model's folder lacks is not fetched from elsewhere."""


def convert(model: Path, llama: LlamaCpp, out: Path, progress: Progress) -> dict[str, Any]:
    """Writes out/model-f16.gguf and returns its metrics.

    Raises WorkError if the disk is too small, if the converter fails, or if the file is not what
    was asked for.
    """
    target = out / "model-f16.gguf"
    check_space(out, _f16_bytes(model), target.name)

    def show(line: str) -> None:
        bar = re.search(r"Writing:\s+(\d+)%.*?([\d.]+\w?/[\d.]+\w)", line)
        if bar:
            progress(int(bar[1]) / 100, f"{bar[2]}B written")

    progress(0.0, "reading the weights")
    with tempfile.TemporaryDirectory(dir=out, prefix=".converting-") as folder:
        named = Path(folder) / _NAME
        named.symlink_to(model.resolve(), target_is_directory=True)
        guarded = [sys.executable, "-m", "tasks.core.release.converting", str(llama.converter)]
        options = ["--outfile", str(target), "--outtype", "f16", "--model-name", _NAME]
        try:
            run_child([*guarded, str(named), *options], on_line=show, env=_OFFLINE)
        except WorkError as error:
            raise _explain(str(error), model, llama) from None
    return {**check_gguf(target, model), "llama_cpp": llama.version, "bytes": target.stat().st_size}


def check_gguf(gguf: Path, model: Path) -> dict[str, Any]:
    """Compares a GGUF with the model folder that it came from.

    Returns its architecture, end-of-answer token and number of tensors. Raises WorkError if it has
    no chat template or ends its answers with another token.
    """
    file = read_gguf(gguf)
    template = file.text("tokenizer.chat_template")
    if not template:
        raise WorkError(
            f"{gguf} has no chat template: {model} has neither chat_template.jinja nor one in its"
            " config."
        )
    trained = _end_of_answer(model, template)
    written = _eos_token(file)
    if written != trained:
        raise WorkError(
            f"{gguf} ends its answers with {written!r} and the model was trained to end them with"
            f" {trained!r}: it would never stop. Set eos_token in"
            f" {model / 'tokenizer_config.json'} and eos_token_id in config.json."
        )
    return {
        "architecture": file.text("general.architecture"),
        "eos_token": written,
        "tensors": len(file.tensors),
    }


def _f16_bytes(model: Path) -> int:
    """Bytes of the F16 file at most: a folder's weights have 16 bits, or 32."""
    return sum(file.stat().st_size for file in model.glob("*.safetensors"))


def _eos_token(file: GgufFile) -> str:
    number = file.metadata.get("tokenizer.ggml.eos_token_id")
    tokens = file.metadata.get("tokenizer.ggml.tokens")
    if number is None or tokens is None:
        return ""
    return str(tokens[number])


def _end_of_answer(model: Path, template: str) -> str:
    """The token that ends a turn: ChatML's, or for other templates the tokenizer's own EOS."""
    if "<|im_end|>" in template:
        return "<|im_end|>"
    eos = read_json(model / "tokenizer_config.json").get("eos_token") or ""
    return eos["content"] if isinstance(eos, dict) else eos


def _explain(output: str, model: Path, llama: LlamaCpp) -> WorkError:
    """The converter's last error line, with the remedy; its traceback tells the user nothing."""
    unknown = re.search(r"Model (\w+) is not supported", output)
    if unknown:
        return WorkError(
            f"llama.cpp {llama.version} ({llama.where}) does not know the architecture {unknown[1]}"
            f" of {model}. Set KOSPILOT_LLAMA_CPP to the folder of a newer llama.cpp, or take"
            " another base model."
        )
    errors = [line for line in output.splitlines() if re.match(r"(\w+Error|ERROR:)", line)]
    return WorkError(f"llama.cpp's converter refused {model}: {errors[-1] if errors else output}")
