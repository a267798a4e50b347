"""A settings file of one's own: YAML with the differences from a profile that ships with kospilot.

It has the sections of a profile, and `extends: PROFILE` before them. Without it, it differs from
kospi-7b, whose values are the defaults.
"""

import os
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tasks.core.errors import did_you_mean
from tasks.core.settings.tree import Settings

EXTENDED = "kospi-7b"
"""The profile that a file differs from if it names none."""

_ENDINGS = (".yaml", ".yml")


@dataclass
class OwnFile:
    """What a file says, with every mistake that can be seen without the settings' types."""

    extends: str = EXTENDED
    values: dict[str, Any] = field(default_factory=dict)  # "section.name" -> text, list or mapping
    mistakes: list[str] = field(default_factory=list)


def is_file_name(profile: str) -> bool:
    """Whether a file is meant: the name ends in .yaml or .yml, or is a path."""
    separators = [separator for separator in (os.sep, os.altsep) if separator]
    is_path = any(separator in profile for separator in separators)
    return is_path or profile.lower().endswith(_ENDINGS)


def name_of_file(file: str) -> str:
    """What runs of a file are called: its name without folders and ending."""
    return Path(file).stem


def read_own_file(file: str) -> OwnFile:
    """Reads a file. One that is not there, or is no YAML, has only its mistake."""
    path = Path(file).expanduser()
    if path.is_dir():
        return OwnFile(mistakes=["it is a folder. Name a YAML file."])
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return OwnFile(mistakes=[f"there is no such file in {path.absolute().parent}."])
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        return OwnFile(mistakes=[f"it cannot be read: {getattr(error, 'strerror', error)}."])
    return _parse(content)


class _Loader(yaml.BaseLoader):
    """Scalars stay text, and a key that is there twice is noted: YAML would take the last one."""

    def __init__(self, content: bytes):
        super().__init__(content)
        self.twice: list[str] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        line = node.start_mark.line + 1
        for key, times in Counter(keys).items():
            if times > 1:
                self.twice.append(
                    f"{key} is there {times} times in the mapping that begins in line {line}. Keep"
                    " one."
                )
        return super().construct_mapping(node, deep)


def _parse(content: bytes) -> OwnFile:
    try:
        loader = _Loader(content)  # it finds out the encoding, and refuses what is no text
        document = loader.get_single_data()
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        return OwnFile(mistakes=[f"it is not YAML{_reason(error)}."])
    own = OwnFile(mistakes=loader.twice)
    if document is None:  # only comments: nothing differs
        return own
    if not isinstance(document, dict):
        kind = "a list" if isinstance(document, list) else f"the text {str(document)[:40]!r}"
        own.mistakes.append(f"it is {kind}. Write `section: {{name: value}}`, as profiles do.")
        return own
    _take_sections(own, document)
    return own


def _reason(error: Exception) -> str:
    """Where YAML stopped, and why."""
    mark = getattr(error, "problem_mark", None)
    where = f" (line {mark.line + 1})" if mark else ""
    reason = getattr(error, "problem", None) or getattr(error, "reason", None)
    return f"{where}: {reason}" if reason else where


def _take_sections(own: OwnFile, document: dict[Any, Any]) -> None:
    extends = document.pop("extends", EXTENDED)
    if isinstance(extends, str):
        own.extends = extends
    else:
        own.mistakes.append("extends names one profile: `extends: kospi-7b`.")
    for section, fields in document.items():
        if section not in Settings.model_fields:
            own.mistakes.append(_unknown_section(section))
        elif isinstance(fields, dict):
            own.values |= {f"{section}.{name}": value for name, value in fields.items()}
        elif fields:
            own.mistakes.append(
                f"{section} is a section. Write its settings below it:"
                f" `{section}: {{name: value}}`."
            )


def _unknown_section(section: Any) -> str:
    known, dot, name = str(section).partition(".")
    if dot and known in Settings.model_fields:
        return f"{section} stands alone. Write `{known}: {{{name}: value}}`."
    hint = did_you_mean(str(section), ["extends", *Settings.model_fields])
    return f"There is no section {section!r}.{hint}"
