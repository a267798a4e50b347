"""What a section of the settings tree is, and copies of it that are cut down to some fields."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

BESIDE = "beside"
"""Marks a field that is left out of artifact keys: it changes how the work is done but not its
result, or it says where something lies, and the key holds the digest of what lies there.
"""

LATER = "later"
"""Marks a field that came when there were artifacts already: it is left out of artifact keys while
it has its default, with which they were made.
"""

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class UndeclaredSetting(Exception):
    """A step's build read a setting that the step does not declare: a bug of ours."""


class Part(BaseModel):
    """A part of the tree, which can be cut down to some of its fields (see `only`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def only(self, names: Iterable[str]) -> Self:
        """A copy in which reading any other field raises UndeclaredSetting."""
        part = self.model_copy()
        for name in set(type(self).model_fields) - set(names):
            del part.__dict__[name]
        return part

    if not TYPE_CHECKING:  # a type checker would take any attribute for one of ours

        def __getattr__(self, name: str) -> Any:
            if name in type(self).model_fields:
                where = f"{type(self).__name__}.{name}".lower()
                raise UndeclaredSetting(
                    f"{where} was read and is not among the step's settings. Declare it there."
                )
            return super().__getattr__(name)


class Section(Part):
    """One section of the tree; `section.name=value` changes one of its fields."""

    def result_settings(self) -> dict[str, Any]:
        """The fields that can change a result, for an artifact's key.

        A mapping that is empty asks for nothing and is left out.
        """
        results = {}
        for name, value in self.model_dump(mode="json").items():
            field = type(self).model_fields[name]
            as_before = LATER in field.metadata and value == field.default
            if BESIDE not in field.metadata and value != {} and not as_before:
                results[name] = value
        return results
