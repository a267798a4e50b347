"""A PEFT adapter's folder as the tools that train leave it: which base it names, and whether it
brings a tokenizer of its own.

Reads adapter_config.json. Writes a folder of links: the base as the adapter was trained with it.
"""

from collections.abc import Iterable
from pathlib import Path

from tasks.core.errors import RequestError
from tasks.core.files.foreign import pickles_among, refuse_foreign
from tasks.core.files.json_files import read_json

_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)
"""The files of a tokenizer, which an adapter may bring."""

_READ = (_CONFIG, _WEIGHTS, "base.json", *TOKENIZER)


def check_adapter(folder: Path) -> None:
    """Raises RequestError unless the folder holds an adapter that can be read, and safely."""
    if not folder.is_dir():
        raise RequestError(
            f"There is no adapter folder {folder}. Name one that PEFT saved, with {_CONFIG} and"
            f" {_WEIGHTS}, or a stage that kospilot trained: stage1, stage2, stage3."
        )
    missing = [name for name in (_CONFIG, _WEIGHTS) if not (folder / name).is_file()]
    names = sorted(file.name for file in folder.iterdir())
    if missing:
        there = ", ".join(names[:8]) or "nothing"
        hint = ""
        if pickles_among(names):
            hint = " Pickles (.bin, .pt) are not read, because they can run code."
        raise RequestError(
            f"{folder} holds no {' and no '.join(missing)}; there is {there}.{hint} Name the folder"
            " that PEFT's save_pretrained wrote."
        )
    refuse_foreign(folder, [name for name in _READ if name in names])


def named_base(folder: Path) -> str:
    """Returns the base model that adapter_config.json names: a folder or a hub id.

    Raises RequestError if it names none, or a folder that is not on this machine.
    """
    try:
        name = read_json(folder / _CONFIG).get("base_model_name_or_path") or ""
    except (OSError, ValueError, AttributeError) as error:
        raise RequestError(f"{folder / _CONFIG} cannot be read: {error}.") from None
    if not name:
        raise RequestError(
            f"{folder / _CONFIG} names no base model. Give it: --base FOLDER or --base OWNER/NAME."
        )
    is_path = name.startswith(("/", "./", "../", "~")) or name.count("/") != 1
    if is_path and not Path(name).expanduser().is_dir():
        raise RequestError(
            f"{folder / _CONFIG} names the base model {name}, which is not on this machine. Say"
            " where it is: --base FOLDER or --base OWNER/NAME."
        )
    return str(name)


def link_base(base: Iterable[Path], adapter: Path, out: Path) -> None:
    """Fills a new folder with links to the base's files, and to the adapter's own tokenizer.

    base: the files that make the model; nothing else of its folder gets here.

    Who trains with another chat template or with more tokens than the base has saves them beside
    the adapter, and only with them is the model asked as it was trained.
    """
    out.mkdir()
    for file in base:
        (out / file.name).symlink_to(file.resolve())
    if not (adapter / "tokenizer_config.json").is_file():
        return
    if _has_template(adapter):
        for file in out.glob("chat_template.*"):
            file.unlink()  # a file of the base would stand before the adapter's configuration
    for name in TOKENIZER:
        file = adapter / name
        if file.is_file():
            (out / name).unlink(missing_ok=True)
            (out / name).symlink_to(file.resolve())


def _has_template(adapter: Path) -> bool:
    """Whether the adapter brings a chat template, in a file or in its tokenizer's configuration."""
    if (adapter / "chat_template.jinja").is_file():
        return True
    try:
        return bool(read_json(adapter / "tokenizer_config.json").get("chat_template"))
    except (OSError, ValueError, AttributeError):
        return False
