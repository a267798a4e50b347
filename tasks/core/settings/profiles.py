"""Settings put together: the defaults, a profile's differences, then `section.name=value`.

Reads deployments/profiles/PROFILE.yaml. Every mistake is reported at once.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from pydantic import ValidationError

from tasks.core.errors import RequestError, did_you_mean
from tasks.core.settings.notify import without_address
from tasks.core.settings.section import Section
from tasks.core.settings.tree import STAGES, Settings


@dataclass(frozen=True)
class Resolved:
    """Settings with the origin of every value: `default`, `profile NAME` or `override`."""

    profile: str
    overrides: tuple[str, ...]  # without notify.url, which is shown and kept nowhere
    settings: Settings
    origins: dict[str, str]  # "section.name" -> origin


@cache
def profile_names() -> tuple[str, ...]:
    """The profiles that ship with kospilot, in alphabetical order."""
    folder = files("deployments") / "profiles"
    names = [entry.name for entry in folder.iterdir()]
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


@cache
def meanings() -> dict[str, str]:
    """Every setting, `section.name`, with its meaning and unit.

    A field that a section overrides keeps the words of its base class.
    """
    texts = {}
    for section, section_field in Settings.model_fields.items():
        section_type = section_field.annotation
        assert isinstance(section_type, type) and issubclass(section_type, Section)
        for name in section_type.model_fields:
            texts[f"{section}.{name}"] = _meaning(section_type, name)
    return texts


def _meaning(section: type[Section], name: str) -> str:
    for base in section.__mro__:
        described = getattr(base, "model_fields", {}).get(name)
        if described and described.description:
            return described.description
    raise AssertionError(f"{section.__name__}.{name} has no docstring")


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
    draft = _Draft()
    draft.take_profile(profile)
    for override in overrides:
        draft.take_override(override)
    settings = draft.validated()
    if settings:
        draft.mistakes += _contradictions(settings)
    if draft.mistakes or settings is None:
        raise RequestError("\n".join(draft.mistakes))
    return Resolved(profile, tuple(without_address(overrides)), settings, draft.origins)


@dataclass
class _Draft:
    """Values on their way to settings, with every mistake found so far."""

    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=lambda: dict.fromkeys(meanings(), "default"))
    mistakes: list[str] = field(default_factory=list)

    def take_profile(self, profile: str) -> None:
        file = files("deployments") / "profiles" / f"{profile}.yaml"
        sections = _parse(file.read_text(encoding="utf-8")) or {}
        for section, fields in sections.items():
            for name, value in (fields or {}).items():
                self._put(f"{section}.{name}", value, f"profile {profile}")

    def take_override(self, override: str) -> None:
        path, equals, value = override.partition("=")
        if not equals:
            self.mistakes.append(f"{override!r} is not section.name=value.")
            return
        try:
            self._put(path.strip(), _parse(value), "override")
        except yaml.YAMLError:
            [told] = without_address([override]) or [path.strip()]
            self.mistakes.append(
                f"{told} is not YAML; a list is [a, b], and text with : or [ in it is quoted."
            )

    def _put(self, path: str, value: Any, origin: str) -> None:
        if path not in self.origins:
            self.mistakes.append(f"There is no setting {path!r}.{did_you_mean(path, self.origins)}")
            return
        section, name = path.split(".", 1)
        self.values.setdefault(section, {})[name] = value
        self.origins[path] = origin

    def validated(self) -> Settings | None:
        """The settings, or None if a value is wrong, which is then among the mistakes."""
        try:
            return Settings.model_validate(self.values)
        except ValidationError as error:
            for problem in error.errors():
                path = ".".join(str(part) for part in problem["loc"])
                reason = problem["msg"].removeprefix("Value error, ")
                [told] = without_address([f"{path}={problem['input']}"]) or [path]
                self.mistakes.append(f"{told}: {reason}.")
            return None


def _parse(text: str) -> Any:
    """YAML whose scalars stay text, so that the setting's type decides what they are.

    Otherwise 2025-06-30 would be a date, and 123 no name.
    """
    return yaml.load(text, Loader=yaml.BaseLoader)


def _contradictions(settings: Settings) -> Iterator[str]:
    """Values that are allowed alone and not together: found now, not after hours of training."""
    for name in STAGES:
        stage = getattr(settings, name)
        if stage.effective_batch % stage.micro_batch:
            yield (
                f"{name}.micro_batch={stage.micro_batch} does not divide"
                f" {name}.effective_batch={stage.effective_batch}: choose"
                f" {', '.join(_divisors(stage.effective_batch))}."
            )
    budget = settings.synthesis.token_budget
    longest = settings.training.max_length
    if budget > longest:
        yield (
            f"synthesis.token_budget={budget} makes rows that training.max_length={longest} leaves"
            f" out. Lower the budget, e.g. synthesis.token_budget={longest}, or raise max_length."
        )
    release = settings.release
    if release.num_predict >= release.num_ctx:
        yield (
            f"release.num_predict={release.num_predict} leaves no room for a prompt in"
            f" release.num_ctx={release.num_ctx} tokens. Raise num_ctx, e.g."
            f" release.num_ctx={2 * release.num_predict}."
        )
    for stage in release.stages:
        if stage in settings.stages.skip:
            yield (
                f"release.stages names {stage}, and stages.skip leaves it out. Take it out of one"
                " of them."
            )
    if settings.evaluation.asks == "rows" and not settings.data.test_share:
        yield (
            "evaluation.asks=rows asks rows that are kept from training, and data.test_share=0"
            " keeps none. Set e.g. data.test_share=0.1."
        )
    if settings.evaluation.asks == "rows" and "briefed" in settings.evaluation.models:
        yield (
            "evaluation.models names briefed, which has the strategy's rule cards before it, and"
            " evaluation.asks=rows asks nothing of the strategy. Leave briefed out."
        )
    share = settings.pairs.model_reject_share
    if share and "stage2" in settings.stages.skip:
        yield (
            f"pairs.model_reject_share={share} asks the Stage 2 model, and stages.skip leaves"
            " stage2 out. Set pairs.model_reject_share=0, or let stage2 run."
        )
    if not _is_split_rule(settings.market.train_until):
        yield (
            f"market.train_until={settings.market.train_until} is neither a date (YYYY-MM-DD),"
            " `latest-N` (N trading days) nor `month`."
        )
    if settings.market.start and not _is_date(settings.market.start):
        yield (
            f"market.start={settings.market.start} is not a date. Write it as YYYY-MM-DD, e.g."
            " 2016-01-04."
        )


def _divisors(number: int) -> list[str]:
    return [str(divisor) for divisor in range(1, number + 1) if number % divisor == 0]


def _is_split_rule(rule: str) -> bool:
    if rule == "month" or re.fullmatch(r"latest-\d+", rule):
        return True
    return _is_date(rule)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
