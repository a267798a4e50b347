"""Settings as YAML text: read without guesses at types, and written so that they are read again."""

import json
from typing import Any

import yaml


def parse(text: str) -> Any:
    """YAML whose scalars stay text, so that the setting's type decides what they are.

    Otherwise 2025-06-30 would be a date, and 123 no name.
    """
    return yaml.load(text, Loader=yaml.BaseLoader)


def as_yaml(value: Any) -> str:
    """A value, as `parse` gives it, in one line; quoted if YAML would read it as something else."""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    try:
        is_plain = parse(value) == value
    except yaml.YAMLError:
        is_plain = False
    return value if is_plain else json.dumps(value, ensure_ascii=False)
