"""Rows that say nearly the same as an earlier one, found by MinHash over runs of five words."""

from itertools import count

from rensa import RMinHash, RMinHashDeduplicator

_HASHES = 128
_WORDS = 5  # in a run; shorter texts are one run


class NearDuplicates:
    """The texts seen so far. A text is near another where their runs of five words overlap by the
    threshold (Jaccard).

    MinHash with 128 hashes estimates the overlap to about ±0.04; the same texts in the same order
    give the same answer.
    """

    def __init__(self, threshold: float):
        self._seen = RMinHashDeduplicator(threshold, _HASHES, use_lsh=True, seed=42)
        self._numbers = count()

    def seen(self, text: str) -> bool:
        """Whether an earlier text is near this one; if none is, it is remembered."""
        words = text.split()
        runs = {
            " ".join(words[start : start + _WORDS])
            for start in range(max(1, len(words) - _WORDS + 1))
        }
        minhash = RMinHash(_HASHES, 42)
        minhash.update(sorted(runs))
        return not self._seen.add(str(next(self._numbers)), minhash)
