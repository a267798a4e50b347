"""Quantizes an F16 GGUF with llama.cpp's llama-quantize, and says what came out.

Reads the F16 GGUF, and an importance matrix if there is one; writes one GGUF.
"""

import logging
import os
import re
import shutil
import signal
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.core.errors import WorkError, did_you_mean
from tasks.core.processes.child import ChildFailed, run_child
from tasks.core.records.artifacts import Progress
from tasks.core.release.gguf_file import GgufFile, Tensor, read_gguf
from tasks.core.release.quantization import (
    F16,
    Quantization,
    block_of,
    describe_types,
    expected_bytes,
    headline,
    read_contents,
)
from tasks.core.release.space import check_space
from tasks.core.tools import LlamaCpp

log = logging.getLogger(__name__)

_NEWER = (
    "Set KOSPILOT_LLAMA_CPP to the folder of a newer one, or unset it and run `kospilot tools"
    " install llama.cpp`."
)


def quantize(
    target: Path, gguf: Path, how: Quantization, llama: LlamaCpp, progress: Progress
) -> dict[str, Any]:
    """Writes one quantized GGUF and returns its metrics: bytes, bits a weight, types of tensors.

    The same input gives the same bytes. F16 shares the input's bytes on the disk if it can, instead
    of copying them. Raises WorkError if the disk is too small, if the quantizer fails or lacks an
    option, or if it leaves a file that lacks tensors.
    """
    whole = read_gguf(gguf)
    if how.name == F16:
        _link(gguf, target)
    else:
        check_space(target.parent, expected_bytes(whole, how.name), target.name)
        _run_quantizer(target, whole, how, llama, progress)
    written = _check_written(target, whole, how, llama)
    contents = read_contents(written)
    progress(1.0, headline(how.name, contents))
    log.info("%s (%s)", headline(how.name, contents), describe_types(contents, written))
    return {
        "quantization": how.name,
        "from_bytes": gguf.stat().st_size,
        "importance_matrix": how.imatrix is not None,
        **asdict(contents),
    }


def _link(gguf: Path, target: Path) -> None:
    """Gives a file a second name, so that its bytes are on the disk once.

    Each name can be removed without the other. A disk without such names gets a copy.
    """
    target.unlink(missing_ok=True)
    try:
        os.link(gguf, target)
    except OSError:
        check_space(target.parent, gguf.stat().st_size, target.name)
        shutil.copyfile(gguf, target)


def _run_quantizer(
    target: Path, whole: GgufFile, how: Quantization, llama: LlamaCpp, progress: Progress
) -> None:
    """Runs llama-quantize. Raises WorkError with its own message if it fails."""
    options = [*_imatrix_options(how, llama), *_type_options(whole, how, llama)]
    files = [whole.path.resolve(), target.resolve()]

    def show(line: str) -> None:
        count = re.match(r"\[\s*(\d+)/\s*(\d+)\]", line)
        if count:
            done, total = int(count[1]), int(count[2])
            progress(done / total, f"{done} / {total} tensors to {how.name}")

    # The quantizer writes the matrix's path, as it is given, into the file: a bare name, read in
    # its folder, gives the same bytes wherever that folder lies.
    where = how.imatrix.parent if how.imatrix else None
    try:
        run_child([llama.quantize.resolve(), *options, *files, how.name], on_line=show, cwd=where)
    except ChildFailed as failed:
        raise WorkError(
            f"llama-quantize could not make {how.name} of {whole.path}: {_reason(failed)}"
        ) from None


def _imatrix_options(how: Quantization, llama: LlamaCpp) -> list[str]:
    if how.imatrix is None:
        return []
    read_gguf(how.imatrix)  # a cut one would only make the quantizer abort
    _check_knows(llama, "--imatrix", "release.imatrix=off")
    return ["--imatrix", how.imatrix.name]


def _type_options(whole: GgufFile, how: Quantization, llama: LlamaCpp) -> list[str]:
    """The options that give single tensors their types, one layer's before those of all layers.

    llama-quantize searches a pattern in each tensor's name and takes the first that it finds; these
    match whole names only: output is not attn_output.
    """
    if not how.tensor_types:
        return []
    _check_knows(llama, "--tensor-type", "release.tensor_types={}")
    _check_there(whole, how)
    options = []
    for name in sorted(how.tensor_types, key=lambda name: not name.startswith("blk.")):
        layer = "" if name.startswith("blk.") else r"(blk\.[0-9]+\.)?"
        pattern = f"^{layer}{re.escape(name)}\\.weight$"
        options += ["--tensor-type", f"{pattern}={how.tensor_types[name]}"]
    return options


def _check_there(whole: GgufFile, how: Quantization) -> None:
    """Raises WorkError if a type is asked for a tensor that the model does not have."""
    names = {name for tensor in whole.tensors for name in _names(tensor)}
    for name in how.tensor_types:
        if name not in names:
            of_layers = {each for each in names if not each.startswith("blk.")}
            raise WorkError(
                f"release.tensor_types names {name}, and {whole.path} has no such tensor."
                f"{did_you_mean(name, names)} It has {', '.join(sorted(of_layers))}."
            )


def _names(tensor: Tensor) -> tuple[str, str]:
    """How release.tensor_types may name a tensor: in its layer, and in all layers."""
    name = tensor.name.removesuffix(".weight")
    return name, re.sub(r"^blk\.\d+\.", "", name)


def _check_knows(llama: LlamaCpp, option: str, without: str) -> None:
    """Raises WorkError if a llama-quantize is too old for an option.

    One that does not even say how it is used is not old but broken, and will say so itself.
    """
    command = [str(llama.quantize), "--help"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    usage = answer.stdout + answer.stderr
    if "usage" in usage and option not in usage:
        raise WorkError(
            f"{llama.quantize} knows no {option}: that llama.cpp is too old. {_NEWER}"
            f" Or do without: {without}."
        )


def _check_written(target: Path, whole: GgufFile, how: Quantization, llama: LlamaCpp) -> GgufFile:
    """Reads the quantized file. Raises WorkError unless it holds all that was asked for."""
    if not target.is_file():
        raise WorkError(
            f"llama-quantize ({llama.quantize}) said that it was done and wrote no {target}."
        )
    written = read_gguf(target)
    if len(written.tensors) != len(whole.tensors):
        raise WorkError(
            f"{target} holds {len(written.tensors)} tensors and {whole.path} {len(whole.tensors)}:"
            " llama-quantize did not finish."
        )
    for tensor in written.tensors:
        _check_type(tensor, how, llama)
    return written


def _check_type(tensor: Tensor, how: Quantization, llama: LlamaCpp) -> None:
    """Raises WorkError unless a tensor has the type that was asked for, if its rows allow it."""
    in_layer, in_all = _names(tensor)
    wanted = how.tensor_types.get(in_layer) or how.tensor_types.get(in_all)
    if wanted and tensor.type != wanted and tensor.shape[0] % block_of(wanted) == 0:
        raise WorkError(
            f"{llama.quantize} made {tensor.name} {tensor.type}, and release.tensor_types asks for"
            f" {wanted}: that llama.cpp is too old to be asked so. {_NEWER}"
        )


def _reason(failed: ChildFailed) -> str:
    """llama-quantize's own message; its warnings about fallbacks come first and fill the tail."""
    output = str(failed)
    errors = [line for line in output.splitlines() if re.search("failed|invalid|error:", line)]
    if errors:
        return "; ".join(errors)
    if failed.code == -signal.SIGKILL:
        return "it was killed, as happens when the memory is full"
    return output
