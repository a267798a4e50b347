"""Settings put together: the defaults, a profile's differences, then `section.name=value`; every
mistake at once.

Reads deployments/profiles/PROFILE.yaml.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from pydantic import ValidationError

from tasks.core.chain.steps import STAGES
from tasks.core.errors import RequestError, did_you_mean
from tasks.core.settings.tree import Settings


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
    return tuple(
        sorted(
            entry.name.removesuffix(".yaml")
            for entry in folder.iterdir()
            if entry.name.endswith(".yaml")
        )
    )


@cache
def meanings() -> dict[str, str]:
    """Every setting, section.name, with its meaning and unit. An overridden field keeps its base's
    words.
    """
    found = {}
    for section, field in Settings.model_fields.items():
        for name in field.annotation.model_fields:
            described = [
                base.model_fields[name].description
                for base in _sections(field.annotation)
                if name in base.model_fields
            ]
            found[f"{section}.{name}"] = next(text for text in described if text)
    return found


def _sections(section: type) -> list[type]:
    return [base for base in section.__mro__ if hasattr(base, "model_fields")]


def load(profile: str, overrides: Iterable[str] = ()) -> Resolved:
    """Defaults, then the profile's differences, then `section.name=value` overrides.

    Raises RequestError with every mistake at once: unknown names with the nearest known one, wrong
    values, wrong form.
    """
    if profile not in profile_names():
        raise RequestError(
            f"There is no profile {profile!r}.{did_you_mean(profile, profile_names())}"
            f" Profiles: {', '.join(profile_names())}."
        )
    overrides = tuple(overrides)
    mistakes: list[str] = []
    values: dict[str, dict[str, Any]] = {}
    origins = dict.fromkeys(meanings(), "default")
    text = (files("deployments") / "profiles" / f"{profile}.yaml").read_text(encoding="utf-8")
    for section, fields in (_read(text) or {}).items():
        for name, value in (fields or {}).items():
            _put(values, origins, mistakes, f"{section}.{name}", value, f"profile {profile}")
    for override in overrides:
        path, equals, value = override.partition("=")
        if not equals:
            mistakes.append(f"{override!r} is not section.name=value.")
            continue
        try:
            _put(values, origins, mistakes, path.strip(), _read(value), "override")
        except yaml.YAMLError:
            mistakes.append(
                f"{override} is not YAML; a list is [a, b], and text with : or [ in it is quoted."
            )
    settings = _validate(values, mistakes)
    mistakes += _contradictions(settings) if settings else []
    if mistakes:
        raise RequestError("\n".join(mistakes))
    return Resolved(profile, overrides, settings, origins)


def _read(text: str) -> Any:
    """YAML whose scalars stay text: the setting's type decides, else 2025-06-30 is a date and 123
    no name.
    """
    return yaml.load(text, Loader=yaml.BaseLoader)


def _put(
    values: dict, origins: dict, mistakes: list[str], path: str, value: Any, origin: str
) -> None:
    if path not in origins:
        mistakes.append(f"There is no setting {path!r}.{did_you_mean(path, origins)}")
        return
    section, name = path.split(".", 1)
    values.setdefault(section, {})[name] = value
    origins[path] = origin


def _validate(values: dict, mistakes: list[str]) -> Settings | None:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        for problem in error.errors():
            path = ".".join(str(part) for part in problem["loc"])
            told = problem["msg"].removeprefix("Value error, ")
            mistakes.append(f"{path}={problem['input']}: {told}.")
        return None


def _contradictions(settings: Settings) -> Iterator[str]:
    """What each value allows alone and all together do not: found now, not after hours of training."""
    for name in STAGES:
        stage = getattr(settings, name)
        if stage.effective_batch % stage.micro_batch:
            fitting = [
                str(n)
                for n in range(1, stage.effective_batch + 1)
                if stage.effective_batch % n == 0
            ]
            yield (
                f"{name}.micro_batch={stage.micro_batch} does not divide"
                f" {name}.effective_batch={stage.effective_batch}: choose {', '.join(fitting)}."
            )
    budget, longest, release = (
        settings.synthesis.token_budget,
        settings.training.max_length,
        settings.release,
    )
    if budget > longest:
        yield (
            f"synthesis.token_budget={budget} makes rows that training.max_length={longest} leaves out."
            f" Lower the budget, e.g. synthesis.token_budget={longest}, or raise max_length."
        )
    if release.num_predict >= release.num_ctx:
        yield (
            f"release.num_predict={release.num_predict} leaves no room for a prompt in release.num_ctx="
            f"{release.num_ctx} tokens. Raise num_ctx, e.g. release.num_ctx={2 * release.num_predict}."
        )
    if not _is_split_rule(settings.market.train_until):
        yield (
            f"market.train_until={settings.market.train_until} is neither a date (YYYY-MM-DD), `latest-N` (N trading"
            " days) nor `month`."
        )


def _is_split_rule(rule: str) -> bool:
    try:
        return (
            rule == "month"
            or bool(re.fullmatch(r"latest-\d+", rule))
            or bool(date.fromisoformat(rule))
        )
    except ValueError:
        return False
