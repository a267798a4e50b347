"""The model card of an adapter: what it is, how it was trained, what was checked, and what it is
not good for.

Reads the base's config.json and licence; writes README.md, with the loss picture beside it.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tasks.core.training.checks.report import Check, cells
from tasks.core.training.spec import TrainingSpec

_FRONT = """\
---
library_name: peft
language: [ko, en]
tags: [lora, qlora, kospilot, finance, korean]
---"""
_METHODS = {
    "sft": "Supervised fine-tuning (SFT): cross entropy on the answers.",
    "dpo": "Direct preference optimization (DPO, sigmoid loss) on pairs of answers. The reference is the policy that"
    " the stage started from.",
}
_LIMITS = """\
It answers questions about Korean equities in a fixed form, by the fixed rules that its rows were made from: it has
learnt these rules, not the market. Figures it quotes come from its prompt. It was not trained to refuse, nor to talk of
anything else. What it says is no investment advice."""


def write_card(
    spec: TrainingSpec, read: dict[str, Any], checks: list[Check], metrics: dict[str, Any]
) -> None:
    """Writes README.md into spec.out. read: the digests of base, start and rows."""
    base, out = Path(spec.base), Path(spec.out)
    parts = [
        _FRONT,
        f"# LoRA adapter of {spec.stage}",
        _METHODS[spec.method],
        *_base(spec, base, read),
        *_data(spec, read, metrics),
        *_training(spec, metrics),
        "![Loss over the optimizer steps](loss.png)",
        "## Checks",
        "Made before the first step and after the last one; a stage that fails one writes no adapter.",
        _table(("ok", "check", "found", "has to be"), map(cells, checks)),
        "## Limits",
        _LIMITS,
        "## Licence",
        _licence(base),
    ]
    (out / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _base(spec: TrainingSpec, base: Path, read: dict[str, Any]) -> list[str]:
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    shape = f"{config['architectures'][0]}, {config['num_hidden_layers']} layers of width {config['hidden_size']}"
    rank, alpha = spec.training["lora_rank"], spec.training["lora_alpha"]
    weights = [name for name in read["base_files"] if name.endswith(".safetensors")]
    lines = [
        f"The base is {shape}, whose linear layers are held as NF4 values. The adapter (rank {rank}, alpha {alpha}, on"
        f" {', '.join(spec.training['target_modules'])}) belongs to these very files:",
        _table(
            ("file", "sha256"),
            [(name, f"`{read['base_files'][name]}`") for name in ("config.json", *weights)],
        ),
    ]
    if spec.start:
        weights = read["start_files"]["adapter_model.safetensors"]
        lines.append(f"It continues the earlier stage's adapter, sha256 `{weights}`.")
    return ["## Base", *lines]


def _data(spec: TrainingSpec, read: dict[str, Any], metrics: dict[str, Any]) -> list[str]:
    what = "pairs" if spec.method == "dpo" else "conversations"
    left = ", ".join(f"{count:,} {why}" for why, count in metrics["left_out"].items())
    return [
        "## Data",
        f"{metrics['rows']:,} {what} of `{Path(spec.rows).name}`, {metrics['positions_per_epoch']:,} tokens an epoch."
        f" Left out whole: {left}. The file's sha256 is `{read['rows_sha256']}`.",
    ]


def _training(spec: TrainingSpec, metrics: dict[str, Any]) -> list[str]:
    told = {name.replace("_", " "): value for name, value in metrics.items() if name != "plan"}
    figures = [
        (name, _figure(value))
        for name, value in told.items()
        if isinstance(value, int | float | str)
    ]
    lists = [
        f"{name.capitalize()}:\n\n- " + "\n- ".join(said)
        for name, said in told.items()
        if _said(said)
    ]
    plan = [f"The plan was: {metrics['plan']}."] if "plan" in metrics else []
    settings = {**spec.training, **spec.schedule}
    return [
        "## Training",
        *plan,
        _table(("figure", "value"), figures),
        *lists,
        "Settings: " + ", ".join(f"{name} {value}" for name, value in settings.items()) + ".",
    ]


def _said(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _figure(value: Any) -> str:
    return (
        f"{value:,.6g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )


def _licence(base: Path) -> str:
    files = sorted(file.name for file in base.iterdir() if file.name.upper().startswith("LICEN"))
    if files:
        first = next(
            (
                line.strip()
                for line in (base / files[0]).read_text("utf-8").splitlines()
                if line.strip()
            ),
            "",
        )
        return f"The base model's licence holds for the adapter too. Its {files[0]} begins: {first}"
    return (
        "The base model's licence holds for the adapter too, and so do those of the data sets that the rows come from."
        " The base's files name none: see where it came from."
    )


def _table(columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
