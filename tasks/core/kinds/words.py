"""The words of each kind, in both languages: how it asks and how it argues.

They stand in the YAML file beside the kind's module as lists of sentences, under `templates` and
`texts`. A list of lists is crossed: every sentence that begins with one of the first parts and goes
on with one of each of the next. Sentences have blanks in braces, which the kind fills: {beta} is a
word, and {beta_ro} the word with the Korean particle that its sound takes (korean.forms).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import yaml

from tasks.core.records.facts import Language

Sentences = Mapping[Language, tuple[str, ...]]


@dataclass(frozen=True)
class Words:
    """A kind's words. The last four templates of each language are kept for evaluation."""

    templates: Sentences
    texts: Mapping[str, Sentences]


@cache
def words_beside(module_file: str) -> Words:
    """Returns the words beside a kind's module: its YAML file has the module's name."""
    file = Path(module_file).with_suffix(".yaml")
    raw = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    texts = {name: _sentences(text) for name, text in raw.get("texts", {}).items()}
    return Words(_sentences(raw["templates"]), texts)


def _sentences(raw: dict[Language, Any]) -> Sentences:
    return {language: _crossed(parts) for language, parts in raw.items()}


def _crossed(parts: list[Any]) -> tuple[str, ...]:
    """Returns the sentences of a list, or every way through a list of lists."""
    if parts and isinstance(parts[0], list):
        return tuple(" ".join(chosen) for chosen in product(*parts))
    return tuple(parts)


def unused(sentences: tuple[str, ...], used: set[str], rng: Random) -> str:
    """Returns one of the sentences, none of the used ones while others are left, and adds it to
    these: the entries of an answer do not repeat each other.
    """
    free = [sentence for sentence in sentences if sentence not in used]
    chosen = rng.choice(free or sentences)
    used.add(chosen)
    return chosen
