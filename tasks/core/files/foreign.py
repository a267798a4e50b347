"""Folders that other people made, looked at before any of their files is used.

A model's folder may bring code (a Python file that its configuration names), links to any file of
this machine, and pointers of Git LFS in the place of files. Pickles run code when they are read, so
none is ever opened or copied.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tasks.core.errors import RequestError

_CODE = (".py", ".pyc", ".pyd", ".so")
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
_CODE_KEYS = ("auto_map", "custom_pipelines", "custom_generate")
_LFS = (
    b"version https://git-lfs.github.com/spec/",
    b"version https://hawser.github.com/spec/",  # as Git LFS was called first
)
_ANNEX = b"annex/objects/"
_POINTER_SIZE = 1024  # bytes at most, says Git LFS's specification


def refuse_foreign(folder: Path, names: Iterable[str]) -> None:
    """Raises RequestError if one of the named files of a folder must not be used, or if the folder
    brings code of its own.
    """
    refuse_code(str(folder), [entry.name for entry in folder.iterdir()])
    for name in names:
        file = folder / name
        refuse_link(file)
        refuse_pointer(file)
        if file.name.endswith("config.json"):
            refuse_code_keys(file)


def refuse_code(place: str, names: Iterable[str]) -> None:
    """Raises RequestError if one of the names in a folder or a repository is a program's."""
    code = sorted(name for name in names if name.lower().endswith(_CODE))
    if code:
        raise RequestError(
            f"{place} brings code of its own ({', '.join(code[:3])}), which kospilot never runs."
            " Take a model that transformers itself knows; or, if this one does not need the code,"
            " a copy of the folder without it."
        )


def pickles_among(names: Iterable[str]) -> list[str]:
    """Those of the names that are pickles', sorted: weights in a form that is not read."""
    return sorted(name for name in names if name.lower().endswith(_PICKLES))


def refuse_link(file: Path) -> None:
    """Raises RequestError if a file is a link to something outside its folder.

    A snapshot in huggingface_hub's cache consists of links into the blobs beside it.
    """
    folder = file.parent.resolve()
    try:
        target = file.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise RequestError(f"{file} cannot be read: {error}.") from None
    allowed = [folder]
    if folder.parent.name == "snapshots":
        allowed.append(folder.parent.parent / "blobs")
    if not any(target.is_relative_to(place) for place in allowed):
        raise RequestError(
            f"{file} is a link to {target}, outside its folder, so it is not read. Put the file"
            " itself there."
        )


def refuse_pointer(file: Path) -> None:
    """Raises RequestError if a file only stands for one that was not fetched, as Git LFS and
    git-annex leave it. A file that is not there is left to its reader.
    """
    if not file.is_file() or file.stat().st_size > _POINTER_SIZE:
        return
    content = file.read_bytes().removeprefix(b"\xef\xbb\xbf")  # a Windows shell's mark
    if content.startswith(_LFS):
        raise RequestError(
            f"{file} is a Git LFS pointer, not the file itself. Fetch it: git lfs pull in its"
            " folder, or download it again."
        )
    if _ANNEX in content and len(content.splitlines()) == 1:
        raise RequestError(
            f"{file} is a git-annex pointer, not the file itself. Fetch it: git annex get in its"
            " folder, or download it again."
        )


def refuse_code_keys(file: Path) -> None:
    """Raises RequestError if a JSON file names code that a library is to run.

    A file that is no JSON is left to its reader, who says so.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return
    named = _code_key(document)
    if named:
        raise RequestError(
            f"{file} asks for code of the model's own ({named}), which kospilot never runs. Take a"
            " model that transformers itself knows."
        )


def _code_key(document: Any) -> str | None:
    """The first key at any depth that names code, with its value; None if there is none."""
    unseen = [document]
    while unseen:
        value = unseen.pop()
        if isinstance(value, dict):
            for key in _CODE_KEYS:
                if value.get(key):
                    return f"{key}: {str(value[key])[:80]}"
            unseen += value.values()
        elif isinstance(value, list):
            unseen += value
    return None
