"""Runs of words, by which texts are called near copies of one another."""

_WORDS = 5


def runs_in(text: str) -> set[str]:
    """Returns every run of five words of a text, or the whole text if it is shorter."""
    words = text.split()
    starts = range(max(1, len(words) - _WORDS + 1))
    return {" ".join(words[start : start + _WORDS]) for start in starts}
