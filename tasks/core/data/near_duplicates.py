"""Rows that say nearly the same as an earlier one, found by MinHash over runs of five words."""

from itertools import count

from rensa import RMinHash, RMinHashDeduplicator

from tasks.core.word_runs import runs_in

_HASHES = 128
_SEED = 42


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
        minhash.update(sorted(runs_in(text)))
        return not self._seen.add(str(next(self._numbers)), minhash)
