"""The two kinds of failure that a user sees, and the hint that names a misspelt word."""

import difflib
from collections.abc import Iterable


class RequestError(Exception):
    """The request cannot be carried out, and nothing was changed. The exit code is 2."""


class WorkError(Exception):
    """The work failed; what was finished stays, and the next run goes on. The exit code is 1."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence, with a space before it, that offers the known word most like a misspelt one.

    The sentence is empty if no known word is similar.
    """
    similar = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean {similar[0]}?" if similar else ""
