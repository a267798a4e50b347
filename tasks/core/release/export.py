"""A folder that any Ollama takes as it is: model.gguf, a Modelfile that names it, card, licence.

Reads a finished GGUF and the base's folder; writes the four files.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.core.errors import RequestError
from tasks.core.files.digests import digest_file

GGUF = "model.gguf"


@dataclass(frozen=True)
class Provenance:
    """What an exported model was made of, in the words of its card."""

    name: str
    base: str  # where it came from: a folder or a hub id
    adapter: Path
    trained_on: str


def check_free(folder: Path) -> None:
    """Raises RequestError unless nothing is in the way of a new folder."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists():
        raise RequestError(
            f"{folder} is there already and is left as it is. Name a new folder: --to FOLDER."
        )


def write_export(
    folder: Path, modelfile: str, base: Path, provenance: Provenance, metrics: dict[str, Any]
) -> None:
    """Puts Modelfile, README.md and the base's licence beside a folder's model.gguf.

    modelfile: its text, whose FROM is ./model.gguf; metrics: those of the quantization.
    """
    licences = _licences(base)
    for file in licences:
        shutil.copyfile(file, folder / file.name)
    (folder / "Modelfile").write_text(modelfile, encoding="utf-8")
    card = _card(folder, base, provenance, metrics)
    (folder / "README.md").write_text(card, encoding="utf-8")


def _licences(base: Path) -> list[Path]:
    return sorted(file for file in base.iterdir() if file.name.upper().startswith("LICEN"))


def _card(folder: Path, base: Path, provenance: Provenance, metrics: dict[str, Any]) -> str:
    adapter = provenance.adapter / "adapter_model.safetensors"
    bits = f"{metrics['bits_per_weight']:.2f} bits a weight, {metrics['bytes'] / 1e6:,.0f} MB"
    rows = (
        ("base", provenance.base),
        ("adapter", f"{provenance.adapter.name}, sha256 `{digest_file(adapter)}`"),
        ("the adapter was trained on", provenance.trained_on),
        ("quantization", f"{metrics['quantization']}, {bits}"),
        (GGUF, f"sha256 `{digest_file(folder / GGUF)}`"),
    )
    parts = [
        f"# {provenance.name}",
        "A language model: the base below with a LoRA adapter folded in, as one GGUF.",
        "\n".join(["| | |", "|---|---|", *(f"| {what} | {value} |" for what, value in rows)]),
        "## Use",
        f"```sh\nollama create {provenance.name} -f Modelfile\nollama run {provenance.name}\n```",
        "The Modelfile states how the model was asked in training: its prompt template, its system"
        " prompt, and the tokens that end an answer. llama.cpp's own server takes the template from"
        f" the GGUF: `llama-server -m {GGUF} --jinja`.",
        "## Licence",
        _licence(base, provenance.base),
    ]
    return "\n\n".join(parts) + "\n"


def _licence(base: Path, origin: str) -> str:
    """Which licence holds, by the base's own files."""
    names = [file.name for file in _licences(base)]
    if names:
        return f"The base model's licence holds for this model too: {', '.join(names)}."
    named = _named_licence(base)
    if named:
        return f"The base model's licence holds for this model too. Its card names it: {named}."
    return (
        "The base model's licence holds for this model too. Its files do not name it: see where"
        f" {origin} comes from."
    )


def _named_licence(base: Path) -> str:
    """The licence that the base's model card names in its front matter; empty if it names none."""
    card = base / "README.md"
    if not card.is_file():
        return ""
    front = card.read_text(encoding="utf-8", errors="replace").split("\n---", 1)[0]
    found = re.search(r"^licen[sc]e:\s*(\S+)", front, re.MULTILINE)
    return found[1] if found else ""
