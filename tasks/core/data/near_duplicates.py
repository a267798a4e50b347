"""Rows that say nearly the same as an earlier one, found by MinHash over runs of five words."""

from itertools import count

from rensa import RMinHash, RMinHashDeduplicator

_HASHES = 128
_SEED = 42
_WORDS = 5  # in a run; a shorter text is one run


class NearDuplicates:
    """The texts seen so far.

    A text is near another if their runs of five words overlap by the threshold (Jaccard). MinHash
    with 128 hashes estimates the overlap to about ±0.04; the same texts in the same order give the
    same answer.
    """

    def __init__(self, threshold: float):
        self._seen = RMinHashDeduplicator(threshold, _HASHES, use_lsh=True, seed=_SEED)
        self._numbers = count()

    def seen(self, text: str) -> bool:
        """Whether an earlier text is near this one; if none is, this one is remembered."""
        minhash = RMinHash(_HASHES, _SEED)
        minhash.update(sorted(_runs_of(text)))
        return not self._seen.add(str(next(self._numbers)), minhash)


def _runs_of(text: str) -> set[str]:
    words = text.split()
    starts = range(max(1, len(words) - _WORDS + 1))
    return {" ".join(words[start : start + _WORDS]) for start in starts}
