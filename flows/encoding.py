"""Streams whose encoding lacks some of what kospilot says: EUC-KR, CP949, the C locale's ASCII."""

import codecs
import io
import sys

_NAME = "kospilot-substitutes"
_SUBSTITUTES = {
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


def replace_unencodable() -> None:
    """Makes stdout and stderr replace characters that their encoding lacks, and stdin accept bytes
    that it cannot decode, so that no output ends a command.
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
    return "".join(_SUBSTITUTES.get(char, "?") for char in lacking), error.end


def typed(text: str) -> str:
    """Returns what was typed where the locale did not say that it is UTF-8, as in the C locale."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def encodes_all() -> bool:
    """Whether stdout takes every character, so that JSON may be written as it is."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return codecs.lookup(encoding).name.startswith("utf")
