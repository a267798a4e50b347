"""What models are called on a server: NAME:TAG, of which everything before the colon is the name.

A release is registered under Settings.release_tag, which is its name or NAME-s2, NAME-s3 or
NAME-base. More models are served for a step's time only, and have temporary tags.
"""

import re
from collections.abc import Mapping
from typing import Literal, get_args

Compared = Literal["base", "briefed", "stage1", "stage2", "stage3", "f16"]
Own = Literal["rejects", "rehearsal", "parity"]
Purpose = Own | Compared
"""Why a step serves a model: it is compared with the release, it is asked for wrong replies, its
parity with training is proven, or, small and random, it shows that a release can be served.
"""

PURPOSES: tuple[Purpose, ...] = (*get_args(Own), *get_args(Compared))

_SUFFIXES = "|".join(f"-{suffix}" for suffix in ("s2", "s3", "base", *PURPOSES))


def temporary_tag(name: str, purpose: Purpose, key: str) -> str:
    """Returns the tag of a model that a step serves while it asks it, and then removes.

    `name` is the release's, `key` the step's: two runs do not meet, and what a killed one left can
    be told from its key.
    """
    return f"{name}-{purpose}:{key[:8]}"


def full_name(tag: str) -> str:
    """Returns NAME:TAG; a name without a tag means its `latest`, as on Ollama."""
    return tag if ":" in tag.rpartition("/")[2] else f"{tag}:latest"


def same_name(one: str, other: str) -> bool:
    """Whether two tags name one model. Ollama compares without case, and gives a model the spelling
    in which its name was first used.
    """
    return full_name(one).casefold() == full_name(other).casefold()


def find(digests: Mapping[str, str], tag: str) -> str | None:
    """Returns the digest of the model that a tag names, or None; `digests` are by full name."""
    for name, digest in digests.items():
        if same_name(name, tag):
            return digest
    return None


def belongs_to(tag: str, name: str) -> bool:
    """Whether a tag is of a release of this name, or a temporary one of it."""
    pattern = rf"{re.escape(name)}({_SUFFIXES})?:.*"
    return re.fullmatch(pattern, tag, re.IGNORECASE) is not None
