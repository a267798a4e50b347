"""Settings put together: the defaults, a profile's differences, then `section.name=value`; every mistake at once.

Reads deployments/profiles/PROFILE.yaml.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from pydantic import ValidationError

from tasks.core.errors import RequestError
from tasks.core.settings import Settings


@dataclass(frozen=True)
class Resolved:
    """Settings with the origin of every value: `default`, `profile NAME` or `override`."""

    profile: str
    overrides: tuple[str, ...]
    settings: Settings
    origins: dict[str, str]  # "section.name" -> origin


@cache
def profile_names() -> tuple[str, ...]:
    folder = files("deployments") / "profiles"
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


@cache
def meanings() -> dict[str, str]:
    """Every setting, section.name, with its meaning and unit. An overridden field keeps its base's words."""
    found = {}
    for section, field in Settings.model_fields.items():
        for name in field.annotation.model_fields:
            described = [
                base.model_fields[name].description for base in _sections(field.annotation) if name in base.model_fields
            ]
            found[f"{section}.{name}"] = next(text for text in described if text)
    return found


def _sections(section: type) -> list[type]:
    return [base for base in section.__mro__ if hasattr(base, "model_fields")]


def load(profile: str, overrides: Iterable[str] = ()) -> Resolved:
    """Defaults, then the profile's differences, then `section.name=value` overrides.

    Raises RequestError with every mistake at once: unknown names with the nearest known one, wrong values, wrong form.
    """
    if profile not in profile_names():
        raise RequestError(
            f"There is no profile {profile!r}.{nearest(profile, profile_names())}"
            f" Profiles: {', '.join(profile_names())}."
        )
    overrides = tuple(overrides)
    mistakes: list[str] = []
    values: dict[str, dict[str, Any]] = {}
    origins = dict.fromkeys(meanings(), "default")
    text = (files("deployments") / "profiles" / f"{profile}.yaml").read_text(encoding="utf-8")
    for section, fields in (yaml.safe_load(text) or {}).items():
        for name, value in (fields or {}).items():
            _put(values, origins, mistakes, f"{section}.{name}", value, f"profile {profile}")
    for override in overrides:
        path, equals, value = override.partition("=")
        if not equals:
            mistakes.append(f"{override!r} is not section.name=value.")
            continue
        _put(values, origins, mistakes, path.strip(), _parse(value), "override")
    settings = _validate(values, mistakes)
    if mistakes:
        raise RequestError("\n".join(mistakes))
    return Resolved(profile, overrides, settings, origins)


def _parse(text: str) -> Any:
    """An override's value as YAML reads it, except 2e-4, which YAML takes for text."""
    try:
        return float(text) if "e" in text.lower() else yaml.safe_load(text)
    except ValueError:
        return yaml.safe_load(text)


def _put(values: dict, origins: dict, mistakes: list[str], path: str, value: Any, origin: str) -> None:
    if path not in origins:
        mistakes.append(f"There is no setting {path!r}.{nearest(path, origins)}")
        return
    section, name = path.split(".", 1)
    values.setdefault(section, {})[name] = value
    origins[path] = origin


def nearest(word: str, known: Iterable[str]) -> str:
    """A sentence that offers the known word most like a misspelt one; empty if none is."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]}?" if close else ""


def _validate(values: dict, mistakes: list[str]) -> Settings | None:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        for problem in error.errors():
            path = ".".join(str(part) for part in problem["loc"])
            mistakes.append(f"{path}={problem['input']!r}: {problem['msg']}.")
        return None
