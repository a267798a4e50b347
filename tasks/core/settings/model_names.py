"""What a model may be called on Ollama (types/model/name.go of Ollama 0.17.4)."""

import re

LONGEST = 80
"""Characters that each part of a name may have."""

_SUFFIX = len("-rehearsal")  # the longest that a step puts behind a release's name
_MODEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*", re.ASCII)
_HOST_LONGEST = 350


def fault_of_name(name: str) -> str:
    """Why Ollama would refuse a model's name, with or without a :TAG; empty if it would not."""
    model, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        model, tag = name, "latest"
    *before, last = model.split("/")
    if not _fits(_MODEL, last):
        return f"{last[:40]!r} is no name for a model: it {_rule('dots, ')}"
    if not _fits(_MODEL, tag):
        return f"{tag[:40]!r} is no tag: it {_rule('dots, ')}"
    if len(before) > 2:
        return "a name has three parts at most: HOST/NAMESPACE/NAME"
    if before and not _fits(_NAMESPACE, before[-1]):
        return f"{before[-1][:40]!r} is no namespace: it {_rule('')}"
    if len(before) == 2 and not _fits(_HOST, before[0], _HOST_LONGEST):
        return f"{before[0][:40]!r} is no host"
    return ""


def fault_of_release_name(name: str) -> str:
    """Why a release cannot be called so; empty if it can. Its tags are kospilot's own."""
    if ":" in name.rpartition("/")[2]:
        return "the tag behind the colon is the release's key; leave the colon out"
    fault = fault_of_name(name)
    if fault:
        return f"Ollama would refuse it, since {fault}"
    longest = LONGEST - _SUFFIX
    if len(name.rpartition("/")[2]) > longest:
        return f"it has more than {longest} characters, and steps put a suffix behind it"
    return ""


def _fits(part: re.Pattern[str], text: str, longest: int = LONGEST) -> bool:
    return len(text) <= longest and part.fullmatch(text) is not None


def _rule(dots: str) -> str:
    return (
        f"has at most {LONGEST} letters (a to z), digits, {dots}dashes and underscores, and begins"
        " with a letter, a digit or an underscore"
    )
