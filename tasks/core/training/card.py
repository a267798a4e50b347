"""The model card of an adapter: what it is, what it was trained on, what was checked, what it is not."""

from pathlib import Path
from typing import Any

from tasks.core.digests import digest_file
from tasks.core.records import TrainingSpec


def write_card(out: Path, spec: TrainingSpec, base: dict[str, Any], told: dict, metrics: dict) -> None:
    """Writes out/README.md."""
    method = "DPO on preference pairs" if spec.method == "dpo" else "supervised fine-tuning (SFT)"
    shape = f"{base['architectures'][0]}, hidden {base['hidden_size']}, {base['num_hidden_layers']} layers"
    settings = {**spec.training, **spec.schedule}
    lines = [
        f"# Adapter of {spec.stage}",
        "",
        f"LoRA adapter (rank {spec.training['lora_rank']}, alpha {spec.training['lora_alpha']}) for an NF4 base,",
        f"made by kospilot with {method}. Base: {shape}.",
        f"Rows: {metrics['rows']}, {metrics['positions_per_epoch']:,} positions an epoch,"
        f" file sha256 `{digest_file(Path(spec.rows))[:16]}`.",
        "",
        "| figure | value |",
        "|---|---|",
        *(
            f"| {name.replace('_', ' ')} | {value} |"
            for name, value in metrics.items()
            if not isinstance(value, dict | list)
        ),
        "",
        *_list("Given up, for the card was full", metrics["given_up"]),
        *_list("Warnings", metrics["warnings"]),
        "Checked before the first step and after the last:",
        "",
        "| check | value |",
        "|---|---|",
        *(f"| {name.replace('_', ' ')} | {value} |" for name, value in told.items()),
        "",
        "Settings: " + ", ".join(f"{name} {value}" for name, value in settings.items()) + ".",
        "",
        "![loss](loss.png)",
        "",
        "It answers in a fixed form by fixed rules. It is no investment advice.",
        "",
    ]
    (out / "README.md").write_text("\n".join(lines), encoding="utf-8")


def _list(title: str, told: list[str]) -> list[str]:
    return [f"{title}:", "", *(f"- {line}" for line in told), ""] if told else []
