"""Settings put together: the defaults, a profile's differences, then `section.name=value`.

Reads deployments/profiles/PROFILE.yaml, or a file of one's own that extends such a profile. Every
mistake is reported at once.
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
from tasks.core.settings.own_file import OwnFile, is_file_name, name_of_file, read_own_file
from tasks.core.settings.section import Section
from tasks.core.settings.tree import STAGES, Settings
from tasks.core.settings.yaml_text import as_yaml, parse


@dataclass(frozen=True)
class Resolved:
    """Settings with the origin of every value: `default`, `profile NAME`, `override`, or the file
    of one's own that it stands in.

    profile and overrides alone give the same settings anywhere: a file's values are overrides too.
    """

    profile: str  # one that ships with kospilot
    overrides: tuple[str, ...]  # without notify.url, which is shown and kept nowhere
    settings: Settings
    origins: dict[str, str]  # "section.name" -> origin
    file: str = ""  # of one's own, as it was named; empty if it was the profile that was

    @property
    def name(self) -> str:
        """What runs of these settings are called: the profile, or the file without its ending."""
        return name_of_file(self.file) if self.file else self.profile

    @property
    def typed(self) -> list[str]:
        """What a person types to mean these settings: a profile or a file, and what differs."""
        if not self.file:
            return [self.profile, *self.overrides]
        return [self.file, *(text for text in self.overrides if self._is_typed(text))]

    def _is_typed(self, override: str) -> bool:
        return self.origins[_path_of(override)] == "override"


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
    """Defaults, then the profile's differences, then those of a file that extends it, then
    `section.name=value` overrides.

    profile: the name of one that ships with kospilot, or a YAML file of one's own. Raises
    RequestError with every mistake at once: unknown names with the nearest known one, wrong values,
    wrong form.
    """
    if is_file_name(profile):
        return _load(read_own_file(profile), tuple(overrides), profile)
    return _load(OwnFile(extends=profile), tuple(overrides))


def _load(own: OwnFile, overrides: tuple[str, ...], file: str = "") -> Resolved:
    """The settings of a file of one's own; without a name, of the profile that it extends."""
    draft = _Draft(file)
    if own.extends in profile_names():
        draft.take_profile(own.extends)
    elif file:
        own.mistakes.append(f"extends: {_no_profile(own.extends)}")
    else:
        raise RequestError(
            f"{_no_profile(own.extends)} A file of your own is named with its ending, .yaml."
        )
    draft.take_file(own)
    for override in overrides:
        draft.take_override(override)
    settings = draft.validated()
    if settings and not own.mistakes:  # else values may be missing, and seem to contradict others
        draft.mistakes += _contradictions(settings)
    if draft.mistakes or settings is None:
        raise RequestError("\n".join(draft.mistakes))
    differences = tuple(without_address([*draft.overrides_of_file(own), *overrides]))
    return Resolved(own.extends, differences, settings, draft.origins, file)


def _no_profile(name: str) -> str:
    return (
        f"There is no profile {name!r}.{did_you_mean(name, profile_names())}"
        f" Profiles: {', '.join(profile_names())}."
    )


def _path_of(override: str) -> str:
    """The setting, `section.name`, that an override changes."""
    return override.partition("=")[0].strip()


@dataclass
class _Draft:
    """Values on their way to settings, with every mistake found so far."""

    file: str  # of one's own; its mistakes bear its name
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=lambda: dict.fromkeys(meanings(), "default"))
    mistakes: list[str] = field(default_factory=list)

    def take_profile(self, profile: str) -> None:
        file = files("deployments") / "profiles" / f"{profile}.yaml"
        sections = parse(file.read_text(encoding="utf-8")) or {}
        for section, fields in sections.items():
            for name, value in (fields or {}).items():
                self._put(f"{section}.{name}", value, f"profile {profile}")

    def take_file(self, own: OwnFile) -> None:
        self.mistakes += [f"{self.file}: {mistake}" for mistake in own.mistakes]
        for path, value in own.values.items():
            self._put(path, value, self.file)

    def overrides_of_file(self, own: OwnFile) -> list[str]:
        """The file's values that stand, as overrides of the profile that it extends."""
        stand = [path for path in own.values if self.origins[path] == self.file]
        return [f"{path}={as_yaml(own.values[path])}" for path in stand]

    def take_override(self, override: str) -> None:
        path, equals, value = override.partition("=")
        if not equals:
            self.mistakes.append(f"{override!r} is not section.name=value.")
            return
        try:
            self._put(path.strip(), parse(value), "override")
        except yaml.YAMLError:
            [told] = without_address([override]) or [path.strip()]
            self.mistakes.append(
                f"{told} is not YAML; a list is [a, b], and text with : or [ in it is quoted."
            )

    def _put(self, path: str, value: Any, origin: str) -> None:
        if path not in self.origins:
            told = f"There is no setting {path!r}.{did_you_mean(path, self.origins)}"
            self.mistakes.append(self._with_file(told, origin))
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
                origin = self.origins[".".join(str(part) for part in problem["loc"][:2])]
                self.mistakes.append(self._with_file(f"{told}: {reason}.", origin))
            return None

    def _with_file(self, mistake: str, origin: str) -> str:
        return f"{self.file}: {mistake}" if self.file and origin == self.file else mistake


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
