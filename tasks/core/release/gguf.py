"""Turns a Hugging Face model folder into one F16 GGUF with llama.cpp's own converter, and reads the
result back.

Writes model-f16.gguf. What ruins most releases is checked here: the end-of-answer token and the
chat template.
"""

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from gguf import GGUFReader

from tasks.core.errors import WorkError
from tasks.core.processes.child import run_child
from tasks.core.records.artifacts import Progress
from tasks.core.tools import LlamaCpp

_NAME = "kospilot"
"""Name in the metadata. The converter also guesses size and version from the folder, so this is all
it sees of it.
"""


def convert(model: Path, llama: LlamaCpp, out: Path, progress: Progress) -> dict[str, Any]:
    """Writes out/model-f16.gguf. Raises WorkError if the converter fails or the file is not what
    was asked for.
    """
    target = out / "model-f16.gguf"
    options = ["--outfile", target, "--outtype", "f16", "--model-name", _NAME]

    def show(line: str) -> None:
        if found := re.search(r"Writing:\s+(\d+)%.*?([\d.]+\w?/[\d.]+\w)", line):
            progress(int(found.group(1)) / 100, f"{found.group(2)}B written")

    progress(0.0, "reading the weights")
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / _NAME
        named.symlink_to(model.resolve(), target_is_directory=True)
        try:
            run_child([sys.executable, llama.converter, named, *options], on_line=show)
        except WorkError as error:
            raise WorkError(
                f"llama.cpp's converter refused {model}: {_reason(str(error))}"
            ) from None
    return {**check_gguf(target, model), "llama_cpp": llama.version, "bytes": target.stat().st_size}


def check_gguf(gguf: Path, model: Path) -> dict[str, Any]:
    """Architecture, end-of-answer token and template of a GGUF, compared with the model folder it
    came from.
    """
    reader = read_gguf(gguf)
    template = _text(reader, "tokenizer.chat_template")
    if not template:
        raise WorkError(
            f"{gguf} has no chat template: {model} has neither chat_template.jinja nor one in its config."
        )
    expected, found = _end_of_answer(model, template), _eos_token(reader)
    if found != expected:
        raise WorkError(
            f"{gguf} ends its answers with {found!r} and the model was trained to end them with {expected!r}: it would"
            f" never stop. Set eos_token in {model / 'tokenizer_config.json'} and eos_token_id in config.json."
        )
    return {
        "architecture": _text(reader, "general.architecture"),
        "eos_token": found,
        "tensors": len(reader.tensors),
    }


def read_gguf(path: Path) -> GGUFReader:
    """The opened file. Raises WorkError if it is no GGUF, or cut."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise WorkError(f"{path} is not a GGUF: it begins with {magic!r}.")
    try:
        reader = GGUFReader(path)
    except (ValueError, IndexError, KeyError) as error:
        raise WorkError(
            f"{path} is cut or damaged ({error}). Remove it and run the same command again."
        ) from None
    return reader


def _text(reader: GGUFReader, name: str) -> str:
    field = reader.get_field(name)
    return field.contents() if field else ""


def _eos_token(reader: GGUFReader) -> str:
    eos, tokens = (
        reader.get_field("tokenizer.ggml.eos_token_id"),
        reader.get_field("tokenizer.ggml.tokens"),
    )
    return tokens.contents(eos.contents()) if eos and tokens else ""


def _end_of_answer(model: Path, template: str) -> str:
    """The token that ends a turn: ChatML's, or for other templates the tokenizer's own EOS."""
    if "<|im_end|>" in template:
        return "<|im_end|>"
    config = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8"))
    eos = config.get("eos_token") or ""
    return eos["content"] if isinstance(eos, dict) else eos


def _reason(text: str) -> str:
    """The converter's last error line: its traceback says nothing to who runs it."""
    lines = [line for line in text.splitlines() if re.match(r"(\w+Error|ERROR:)", line)]
    return lines[-1] if lines else text
