"""The model card of an adapter: what it is, how it was trained and checked, and its limits.

Reads the base's config.json and licence; writes OUT/README.md, which shows the loss picture beside
it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tasks.core.files.json_files import read_json
from tasks.core.records.training_base import read_training_base
from tasks.core.training.checks.report import COLUMNS, Check, format_cells
from tasks.core.training.spec import TrainingSpec

_FRONT = """\
---
library_name: peft
language: [ko, en]
tags: [lora, kospilot, finance, korean]
---"""
_METHODS = {
    "sft": "Supervised fine-tuning (SFT): cross entropy on the answers.",
    "dpo": "Direct preference optimization (DPO, sigmoid loss) on pairs of answers."
    " The reference is the policy that the stage started from.",
}
_LIMITS = (
    "It answers questions about Korean equities in a fixed form, by the fixed rules that its rows"
    " were made from: it has\nlearnt these rules, not the market. Figures it quotes come from its"
    " prompt. It was not trained to refuse, nor to talk of\nanything else. What it says is no"
    " investment advice."
)


def write_card(
    spec: TrainingSpec, digests: dict[str, Any], checks: list[Check], metrics: dict[str, Any]
) -> None:
    """Writes README.md into spec.out; `digests` are those of the base, the start and the rows."""
    base, out = Path(spec.base), Path(spec.out)
    parts = [
        _FRONT,
        f"# LoRA adapter of {spec.stage}",
        _METHODS[spec.method],
        *_base(spec, base, digests),
        *_data(spec, digests, metrics),
        *_training(spec, metrics),
        "![Loss over the optimizer steps](loss.png)",
        "## Checks",
        "Made before the first step and after the last one;"
        " a stage that fails one writes no adapter.",
        _table(COLUMNS, map(format_cells, checks)),
        "## Limits",
        _LIMITS,
        "## Licence",
        _licence(base),
    ]
    (out / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _base(spec: TrainingSpec, base: Path, digests: dict[str, Any]) -> list[str]:
    config = read_json(base / "config.json")
    shape = (
        f"{config['architectures'][0]}, {config['num_hidden_layers']} layers"
        f" of width {config['hidden_size']}"
    )
    rank, alpha = spec.training["lora_rank"], spec.training["lora_alpha"]
    modules = ", ".join(spec.training["target_modules"])
    files = ["config.json"]
    files += [name for name in digests["base_files"] if name.endswith(".safetensors")]
    rows = [(name, f"`{digests['base_files'][name]}`") for name in files]
    parts = [
        "## Base",
        f"The base is {shape}. It was trained on as {read_training_base(Path(spec.out))}."
        f" The adapter (rank {rank}, alpha {alpha}, on {modules}) belongs to these very files:",
        _table(("file", "sha256"), rows),
    ]
    if spec.start:
        sha256 = digests["start_files"]["adapter_model.safetensors"]
        parts.append(f"It continues the earlier stage's adapter, sha256 `{sha256}`.")
    return parts


def _data(spec: TrainingSpec, digests: dict[str, Any], metrics: dict[str, Any]) -> list[str]:
    rows = "pairs" if spec.method == "dpo" else "conversations"
    left_out = ", ".join(f"{count:,} {why}" for why, count in metrics["left_out"].items())
    return [
        "## Data",
        f"{metrics['rows']:,} {rows} of `{Path(spec.rows).name}`,"
        f" {metrics['positions_per_epoch']:,} tokens an epoch."
        f" Left out whole: {left_out}. The file's sha256 is `{digests['rows_sha256']}`.",
    ]


def _training(spec: TrainingSpec, metrics: dict[str, Any]) -> list[str]:
    """Returns the plan, a table of the single figures, a list for each other, and the settings."""
    parts = ["## Training"]
    if "plan" in metrics:
        parts.append(f"The plan was: {metrics['plan']}.")
    figures, lists = [], []
    for name, value in metrics.items():
        title = name.replace("_", " ")
        if name == "plan":
            continue
        if isinstance(value, int | float | str):
            figures.append((title, _figure(value)))
        elif isinstance(value, list) and value:
            lists.append(f"{title.capitalize()}:\n\n- " + "\n- ".join(value))
    settings = {**spec.training, **spec.schedule}
    words = ", ".join(f"{name} {value}" for name, value in settings.items())
    return [*parts, _table(("figure", "value"), figures), *lists, f"Settings: {words}."]


def _figure(value: float | int | str) -> str:
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, int):
        return f"{value:,}"
    return value


def _licence(base: Path) -> str:
    files = sorted(file.name for file in base.iterdir() if file.name.upper().startswith("LICEN"))
    if not files:
        return (
            "The base model's licence holds for the adapter too, and so do those of the data sets"
            " that the rows come from."
            " The base's files name none: see where it came from."
        )
    first_line = _first_line((base / files[0]).read_text("utf-8"))
    return (
        f"The base model's licence holds for the adapter too. Its {files[0]} begins: {first_line}"
    )


def _first_line(text: str) -> str:
    """Returns the first line that is not blank, without the spaces around it."""
    for line in text.splitlines():
        if line.strip():
            return line.strip()
    return ""


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
