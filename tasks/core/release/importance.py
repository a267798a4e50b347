"""Which columns of a model's weights matter most: the mean square of what enters each of them.

    python -m tasks.core.release.importance MODEL F16.gguf ROWS OUT.gguf

Reads a Hugging Face model folder, its F16 GGUF and chat rows; writes an importance matrix as
llama-quantize reads it (--imatrix), which rounds with more care what is multiplied by much. It is
computed here and not by llama.cpp's own tool, because that one reads plain text: here the model
sees its training rows as training did, special tokens and all.
"""

import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from jinja2.exceptions import TemplateError
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from tasks.core.apportionment import in_turn
from tasks.core.errors import WorkError
from tasks.core.processes.reporting import tell_error, tell_progress, tell_result
from tasks.core.records.artifacts import Progress
from tasks.core.release.gguf_file import GgufFile, read_gguf
from tasks.core.release.rows import Row, read_rows

_ROW = 384
"""Tokens that are read of a row: of a longer one the beginning and the end, as much of each."""
TOKENS = 24 * _ROW
"""Tokens that a model reads: a row of each of twelve kinds in both languages."""
_DATASET = "kospilot's training rows"
"""What the matrix was computed on; a released file says it, in quantize.imatrix.dataset."""


@dataclass(frozen=True)
class Importance:
    """What was seen of a model's inputs."""

    sums: dict[str, NDArray[np.float32]]
    """Tensor of the GGUF -> for each of its columns, the sum of the squares that entered it."""

    tokens: int
    rows: int


def measure_importance(
    model: Path, f16: Path, rows: Iterable[Row], progress: Progress, tokens: int = TOKENS
) -> Importance:
    """Runs rows through a model, on a GPU if there is one, and returns what entered its layers.

    f16: the model's GGUF, whose tensors are meant. The rows are taken in turn from each sort, so
    that none is missing, until the model has read `tokens` tokens. Raises WorkError if no layer of
    the model is among the GGUF's tensors, or if what enters one is no number.
    """
    progress(0.0, "loading the model")
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = _load(model)
    sums = _Sums(_layers(network, read_gguf(f16)))
    seen = 0
    read = 0
    with torch.inference_mode(), sums.watching():
        for row in in_turn(rows, lambda row: row.sort):
            ids = _shortened(_encode(tokenizer, row))[: tokens - seen]
            if not ids:
                continue
            network.base_model(torch.tensor([ids], device=network.device), use_cache=False)
            seen += len(ids)
            read += 1
            progress(seen / tokens, f"{seen:,} / {tokens:,} tokens read")
            if seen >= tokens:
                break
    if not read:
        raise WorkError("There are no rows to compute an importance matrix from.")
    return Importance(sums.as_arrays(), seen, read)


def write_imatrix(importance: Importance, target: Path) -> None:
    """Writes the matrix in llama.cpp's format: tensors NAME.in_sum2 and NAME.counts, and metadata.

    The same matrix gives the same bytes.
    """
    writer = gguf.GGUFWriter(target, arch="imatrix")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", [_DATASET])
    writer.add_uint32("imatrix.chunk_count", importance.rows)
    writer.add_uint32("imatrix.chunk_size", max(1, importance.tokens // importance.rows))
    counts = np.array([[importance.tokens]], np.float32)
    for name, sums in sorted(importance.sums.items()):
        writer.add_tensor(f"{name}.in_sum2", sums[np.newaxis])
        writer.add_tensor(f"{name}.counts", counts)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _load(model: Path) -> PreTrainedModel:
    """The model: on the GPUs as far as it fits there, the rest in memory.

    On a CPU it has the type that this one multiplies fast: in F16, which the merged model comes in,
    it takes seven times as long as in bf16, and in bf16 without such instructions 2.7 times as long
    as in float32.
    """
    options: dict[str, Any] = {"dtype": "auto", "device_map": "auto"}
    if not torch.cuda.is_available():
        options = {"dtype": torch.bfloat16 if _computes_in_bf16() else torch.float32}
    network = AutoModelForCausalLM.from_pretrained(model, **options)
    return network.eval()


def _computes_in_bf16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def _encode(tokenizer: Any, row: Row) -> list[int]:
    """A row's tokens; none if the template refuses it, so that it was not trained either."""
    try:
        return list(tokenizer.apply_chat_template(row.messages, tokenize=True, return_dict=False))
    except TemplateError:
        return []


def _shortened(ids: list[int]) -> list[int]:
    """Both ends of a long row: every sort of text is read, and none at length."""
    if len(ids) <= _ROW:
        return ids
    return ids[: _ROW // 2] + ids[-_ROW // 2 :]


def _layers(network: PreTrainedModel, whole: GgufFile) -> dict[str, torch.nn.Linear]:
    """The model's linear layers by the names of their tensors in the GGUF.

    Raises WorkError if there are none. The output layer is left out, as llama.cpp's tool does.
    """
    architecture = whole.text("general.architecture")
    names = _tensor_names(architecture, whole.metadata.get(f"{architecture}.block_count", 0))
    widths = {tensor.name: tensor.shape[0] for tensor in whole.tensors}
    layers = {}
    for name, layer in network.named_modules():
        if not isinstance(layer, torch.nn.Linear):
            continue
        tensor = names.get_name(f"{name}.weight", try_suffixes=(".weight",)) or ""
        if tensor.startswith("blk.") and widths.get(tensor) == layer.in_features:
            layers[tensor] = layer
    if not layers:
        raise WorkError(
            f"No layer of this {architecture} model is among the tensors of {whole.path}, so no"
            " importance matrix can be computed. Set release.imatrix=off."
        )
    return layers


def _tensor_names(architecture: str, layers: int) -> gguf.TensorNameMap:
    """How the tensors of an architecture are called elsewhere and in GGUF."""
    for number, name in gguf.MODEL_ARCH_NAMES.items():
        if name == architecture:
            return gguf.get_tensor_name_map(number, layers)
    raise WorkError(
        f"The package gguf does not know the architecture {architecture}, so no importance matrix"
        " can be computed. Set release.imatrix=off."
    )


class _Sums:
    """For each layer the sum of the squares of its inputs, by columns."""

    def __init__(self, layers: dict[str, torch.nn.Linear]):
        self._layers = layers
        self._sums: dict[str, torch.Tensor] = {}

    def watching(self) -> ExitStack:
        """Until it is closed, what enters the layers is added up."""
        stack = ExitStack()
        for name, layer in self._layers.items():
            hook = layer.register_forward_pre_hook(self._adder(name))
            stack.callback(hook.remove)
        return stack

    def _adder(self, name: str) -> Any:
        def add(layer: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> None:
            rows = inputs[0].flatten(0, -2).float()
            squares = rows.square().sum(0).double()
            self._sums[name] = self._sums.get(name, 0) + squares

        return add

    def as_arrays(self) -> dict[str, NDArray[np.float32]]:
        """The sums so far. Raises WorkError if one is no number."""
        for name, sums in self._sums.items():
            if not bool(sums.isfinite().all()):
                raise WorkError(
                    f"What enters {name} is no finite number: the merged model is broken. Set"
                    " release.imatrix=off to release it all the same."
                )
        return {name: sums.float().cpu().numpy() for name, sums in self._sums.items()}


def main(model: Path, f16: Path, rows: Path, target: Path) -> int:
    """Writes the matrix to `target`, and tells progress and metrics as JSON lines."""
    try:
        importance = measure_importance(model, f16, read_rows(rows), tell_progress)
    except WorkError as error:
        tell_error(error)
        return 1
    write_imatrix(importance, target)
    metrics = {"rows": importance.rows, "tokens": importance.tokens}
    tell_result({**metrics, "tensors": len(importance.sums)})
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
