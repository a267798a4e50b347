"""Terminals that cannot print all that kospilot says: EUC-KR's, CP949's, those of the C locale."""

import codecs
import io
import sys

_NAME = "kospilot-otherwise"
_OTHERWISE = {
    "✓": "o",
    "✗": "x",
    "−": "-",
    "–": "-",
    "—": "-",
    "…": "...",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "×": "x",
    "±": "+-",
    "·": "-",
    "•": "*",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
}


def say_otherwise() -> None:
    """Lets the standard streams say what their encoding lacks in other signs, or with a question
    mark, and read what is no text in it: no output may end a command.
    """
    codecs.register_error(_NAME, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_NAME)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_OTHERWISE.get(char, "?") for char in lacking), error.end


def typed(text: str) -> str:
    """Returns what was typed where the locale did not say that it is UTF-8, as in the C locale."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def encodes_all() -> bool:
    """Whether stdout takes every character, so that JSON may be written as it is."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return codecs.lookup(encoding).name.startswith("utf")
