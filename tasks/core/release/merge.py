"""Folds an adapter into the values that it was trained on: W + (alpha / r) · B · A.

Reads a Hugging Face folder and a PEFT adapter folder. Writes a Hugging Face folder with the base's
own files, one tensor in memory at a time. A base that comes quantized (NF4) is written in 16 bit.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.core.errors import WorkError
from tasks.core.files.atomic import write_text
from tasks.core.files.digests import digest_file
from tasks.core.files.json_files import read_json
from tasks.core.records.artifacts import Progress
from tasks.core.records.training_base import TrainingBase
from tasks.core.release.adapter import open_adapter
from tasks.core.release.base_weights import Base, open_base
from tasks.core.release.merge_plan import MergePlan, plan_merge
from tasks.core.release.merged_shards import Source, write_shards
from tasks.core.release.peft_folder import TOKENIZER
from tasks.core.release.space import check_space
from tasks.core.release.training_values import base_as_trained, is_quantized_by

_COPIED = ("generation_config.json", *TOKENIZER)
_SPARE = 1 << 26  # bytes of disk for what is not weights


def merge(
    base: Path,
    adapter: Path | None,
    out: Path,
    progress: Progress,
    trained_on: TrainingBase | None = None,
) -> dict[str, Any]:
    """Writes the merged model to `out`, in F16 if the base is bfloat16, and returns its metrics.

    The adapter is added to what its folder says that it was trained on (base.json), or to
    `trained_on` if it says nothing, which without that is the base as it is. Without an adapter the
    model is a copy of the base. The sum is made in float32 and rounded once. Raises WorkError or
    RequestError if base or adapter cannot be merged; `out` then holds nothing of it.
    """
    opened = open_base(base)
    lora = open_adapter(adapter) if adapter else None
    trained = base_as_trained(adapter, trained_on) if adapter else None
    plan = plan_merge(opened, lora)
    _check_trained(opened, adapter, trained)
    check_space(out, plan.size + _SPARE, "The merged model")
    with _all_or_nothing(plan, out):
        write_shards(plan, Source(lora, trained), out, progress)
        _write_all_but_weights(plan, opened, adapter, out)
    quantized = 0
    for weight in opened.weights.values():
        quantized += weight.packed or bool(trained and is_quantized_by(trained, weight))
    return {
        "adapted_tensors": plan.adapted,
        "nf4_tensors": quantized,
        "shards": len(plan.shards),
        "bytes": plan.size,
    }


def _check_trained(base: Base, adapter: Path | None, trained: TrainingBase | None) -> None:
    """Raises WorkError if the adapter's folder says that it was trained on another base."""
    if adapter is None:
        return
    missing = sorted((trained.tensors.keys() if trained else set()) - base.weights.keys())
    if missing:
        raise WorkError(
            f"{adapter} was trained on a base with {missing[0]}, which {base.folder} does not have:"
            " it is an adapter of another base model."
        )
    if trained and trained.tensors:
        return  # each has its digest
    for name, digest in _digests_of_base(adapter).items():
        file = base.folder / name
        if file.suffix == ".safetensors" and file.is_file() and digest_file(file) != digest:
            raise WorkError(
                f"{file} is not the file that {adapter} was trained on, whose digest is in its"
                " training_config.json: it is an adapter of another base model. Take the base of"
                " the training."
            )


def _digests_of_base(adapter: Path) -> dict[str, str]:
    """The base's files that an adapter of kospilot's belongs to, and their digests."""
    try:
        return dict(read_json(adapter / "training_config.json")["base_files"])
    except (OSError, ValueError, LookupError, TypeError):
        return {}


@contextmanager
def _all_or_nothing(plan: MergePlan, out: Path) -> Iterator[None]:
    """Removes what a killed merge left in a folder, and what appears in it if the block fails."""
    for shard in plan.shards:
        (out / shard.header.path.name).unlink(missing_ok=True)
    (out / "config.json").unlink(missing_ok=True)
    before = set(out.iterdir())
    try:
        yield
    except BaseException:
        for file in set(out.iterdir()) - before:
            file.unlink()
        raise


def _write_all_but_weights(plan: MergePlan, base: Base, adapter: Path | None, out: Path) -> None:
    """Writes configuration, tokenizer and index: the base's files, unless the merge changed them.

    An adapter that brought an embedding for other tokens brings the tokenizer, too.
    """
    _copy_named(base.folder, _COPIED, out)
    if adapter and plan.resized:
        _copy_named(adapter, TOKENIZER, out)
    if plan.config == base.config:
        shutil.copyfile(base.folder / "config.json", out / "config.json")
    else:
        text = json.dumps(plan.config, indent=2, ensure_ascii=False) + "\n"
        write_text(out / "config.json", text)
    for index in base.folder.glob("*.safetensors.index.json"):
        _write_index(index, plan, out / index.name)


def _copy_named(source: Path, names: tuple[str, ...], out: Path) -> None:
    for name in names:
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)


def _write_index(index: Path, plan: MergePlan, target: Path) -> None:
    """Writes which file holds which tensor: the base's own bytes if that did not change."""
    files = {}
    total = 0
    for shard in plan.shards:
        for name, entry in shard.header.entries.items():
            files[name] = shard.header.path.name
            total += entry.end - entry.begin
    content = read_json(index)
    if content["weight_map"] == files:
        shutil.copyfile(index, target)
        return
    content["weight_map"] = dict(sorted(files.items()))
    content.setdefault("metadata", {})["total_size"] = total
    write_text(target, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
