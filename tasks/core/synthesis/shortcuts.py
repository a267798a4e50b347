"""Whether rejected answers can be told from chosen ones without reading them: by their length, or
by the words that occur in them. A model that is taught by such pairs learns the shortcut.

Reads pairs; writes no file.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

LENGTH_AUC = 0.60
WORDS_AUC = 0.75
"""The most that length in tokens, and that a classifier of words, may tell within a pair. Cut books
are shorter: quality_degradation has no limit of length.
"""

_WORD = re.compile(r"[^\W\d_]+|\d+")
_RIDGE = 0.1
_EXACT = 1e-24  # of the squared residual
_DECIMALS = 9  # of a gain: what is left behind them is an error of rounding, and no gain
_SAMPLE = 100  # pairs of each flaw whose edit distance is measured
_SEED = 42


@dataclass(frozen=True)
class Contrast:
    """The two answers of a pair, and their lengths in tokens."""

    chosen: str
    rejected: str
    chosen_tokens: int
    rejected_tokens: int


def measure(contrasts: Sequence[Contrast]) -> dict[str, Any]:
    """Returns {"length_auc", "words_auc", "edit_words"} of the pairs of one flaw.

    An AUC is the share of pairs in which the chosen answer scores higher, equal ones counting half,
    or the other way round: 0.5 is no shortcut, 1 is one that always holds. edit_words is the median
    number of words that one answer is away from the other. All are None without pairs.
    """
    if not contrasts:
        return {"length_auc": None, "words_auc": None, "edit_words": None}
    gains = [contrast.chosen_tokens - contrast.rejected_tokens for contrast in contrasts]
    sample = Random(_SEED).sample(list(contrasts), min(_SAMPLE, len(contrasts)))
    distances = [_edit_distance(contrast) for contrast in sample]
    return {
        "length_auc": _two_sided(_within(np.array(gains, float))),
        "words_auc": _words_auc(contrasts),
        "edit_words": float(np.median(distances)),
    }


def _within(gains: np.ndarray) -> float:
    return float(np.mean((gains > 0) + 0.5 * (gains == 0)))


def _two_sided(auc: float) -> float:
    return round(max(auc, 1 - auc), 3)


def _words_auc(contrasts: Sequence[Contrast]) -> float | None:
    """Returns the AUC within held-out pairs of a linear classifier on the shares of words, fitted
    by ridge regression to the other half of the pairs; None if there are too few.
    """
    order = list(contrasts)
    Random(_SEED).shuffle(order)
    half = len(order) // 2
    if half < 2:
        return None
    pairs = [_WordCounts.of(contrast) for contrast in order]
    vocabulary = _vocabulary(pairs[:half])
    known = _differences(pairs[:half], vocabulary)
    held_out = _differences(pairs[half:], vocabulary)
    kernel = _products(known)
    # Never singular, even if no pair's words differ.
    damping = (_RIDGE * np.trace(kernel) / half + np.finfo(float).eps) * np.eye(half)
    weights = _solved(kernel + damping, np.ones(half))
    gains = np.round(held_out @ (known.T @ weights), _DECIMALS)
    return round(_within(gains), 3)


def _products(rows: np.ndarray) -> np.ndarray:
    """Returns rows @ rows.T by the few words that each row has. The whole product would start
    threads, and on a busy machine their waiting took a quarter of the time of pairs.
    """
    columns = np.ascontiguousarray(rows.T)
    products = np.empty((len(rows), len(rows)))
    for number, row in enumerate(rows):
        words = np.flatnonzero(row)
        products[number] = row[words] @ columns[words]
    return products


def _solved(matrix: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Returns x of matrix @ x = wanted for a positive definite matrix, by conjugate gradients
    (Hestenes and Stiefel 1952), which like _products starts no threads.
    """
    solution = np.zeros_like(wanted)
    residual = direction = wanted
    for _ in range(2 * len(wanted)):  # exact after len(wanted) steps, but for rounding
        along = matrix @ direction
        step = (residual @ residual) / (direction @ along)
        solution = solution + step * direction
        left = residual - step * along
        if left @ left <= _EXACT * (wanted @ wanted):
            break
        direction = left + (left @ left) / (residual @ residual) * direction
        residual = left
    return solution


@dataclass(frozen=True)
class _WordCounts:
    """How often each word stands in the two answers of a pair."""

    chosen: Counter[str]
    rejected: Counter[str]

    @classmethod
    def of(cls, contrast: Contrast) -> "_WordCounts":
        return cls(_counted(contrast.chosen), _counted(contrast.rejected))


def _counted(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.lower()))


def _vocabulary(pairs: Sequence[_WordCounts]) -> dict[str, int]:
    words: dict[str, int] = {}
    for pair in pairs:
        for word in (*pair.chosen, *pair.rejected):
            words.setdefault(word, len(words))
    return words


def _differences(pairs: Sequence[_WordCounts], vocabulary: dict[str, int]) -> np.ndarray:
    """Returns each pair's shares of words, chosen − rejected: (pairs, words)."""
    matrix = np.zeros((len(pairs), len(vocabulary)))
    for row, pair in enumerate(pairs):
        shares: dict[int, float] = {}
        for counts, sign in ((pair.chosen, 1.0), (pair.rejected, -1.0)):
            total = counts.total() or 1
            for word, count in counts.items():
                if word in vocabulary:
                    place = vocabulary[word]
                    shares[place] = shares.get(place, 0.0) + sign * count / total
        matrix[row, list(shares)] = list(shares.values())
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.divide(matrix, lengths, out=matrix, where=lengths > 0)


def _edit_distance(contrast: Contrast) -> int:
    """Returns how many words must be put in, left out or exchanged (Levenshtein 1966)."""
    first, second = _without_common_ends(contrast.chosen.split(), contrast.rejected.split())
    previous = np.arange(len(second) + 1)
    columns = np.arange(1, len(second) + 1)
    words = np.array(second, dtype=object)
    for row, word in enumerate(first, 1):
        exchanged = previous[:-1] + (words != word)
        best = np.minimum(exchanged, previous[1:] + 1)
        # Putting words in runs along the row: a running minimum, with the column's cost taken out.
        along = np.minimum.accumulate(np.concatenate(([row], best - columns)))
        previous = np.concatenate(([row], along[1:] + columns))
    return int(previous[-1])


def _without_common_ends(first: list[str], second: list[str]) -> tuple[list[str], list[str]]:
    """Returns two texts' words without those that both begin with, and both end with: they change
    no distance, and most of a near miss is the same.
    """
    start = _common(first, second)
    first, second = first[start:], second[start:]
    end = _common(first[::-1], second[::-1])
    return first[: len(first) - end], second[: len(second) - end]


def _common(first: list[str], second: list[str]) -> int:
    """Returns with how many equal words two lists begin."""
    for place, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return place
    return min(len(first), len(second))
