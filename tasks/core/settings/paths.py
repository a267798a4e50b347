"""Settings that name files and folders, made whole where a person stands who deploys.

A worker's runs begin elsewhere, and on other machines: a relative path would name another folder
there. Where such a setting says something lies is in no key, so nothing is made anew for it.
"""

from dataclasses import replace
from pathlib import Path

from tasks.core.settings.profiles import Resolved
from tasks.core.settings.section import BESIDE
from tasks.core.settings.yaml_text import as_yaml

_ALWAYS = "market.dir"  # a folder, whether it is there yet or not; others may be names of a hub


def settle_paths(resolved: Resolved, folder: Path) -> Resolved:
    """The same settings with the relative paths that begin in this folder made absolute."""
    settings = resolved.settings
    overrides = list(resolved.overrides)
    paths = relative_paths(resolved, folder)
    for setting, path in paths.items():
        section, _, name = setting.partition(".")
        whole = getattr(settings, section).model_copy(update={name: str(path)})
        settings = settings.model_copy(update={section: whole})
        overrides = [text for text in overrides if text.partition("=")[0].strip() != setting]
        overrides.append(f"{setting}={as_yaml(str(path))}")
    origins = {**resolved.origins, **dict.fromkeys(paths, "override")}
    return replace(resolved, overrides=tuple(overrides), settings=settings, origins=origins)


def relative_paths(resolved: Resolved, folder: Path) -> dict[str, Path]:
    """The absolute path of each setting, `section.name`, that is a relative one."""
    found = {}
    for section, section_field in type(resolved.settings).model_fields.items():
        values = getattr(resolved.settings, section)
        for name, field in section_field.annotation.model_fields.items():  # type: ignore[union-attr]
            value = getattr(values, name)
            if BESIDE in field.metadata and isinstance(value, str):
                path = _absolute(f"{section}.{name}", value, folder)
                if path:
                    found[f"{section}.{name}"] = path
    return found


def _absolute(name: str, value: str, folder: Path) -> Path | None:
    """None for what is absolute, no path, or a hub's name."""
    if value in ("", "demo"):
        return None
    path = (folder / Path(value).expanduser()).resolve()
    is_whole = Path(value).is_absolute()
    return path if not is_whole and (name == _ALWAYS or path.exists()) else None
