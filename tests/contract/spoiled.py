"""What every kind's spoiled answers are held to, be its questions drawn or given."""

from collections import Counter
from collections.abc import Iterable
from random import Random

from tasks.core.kinds.base import Flaw, Kind, Scene
from tasks.core.synthesis.pairs import ATTEMPTS


def assert_fails_for_its_own_reason(kind: Kind, scenes: Iterable[Scene], how: Flaw) -> None:
    """Each answer fails for its own reason alone within the attempts that pairs make, and seven in
    ten at once.
    """
    failed: Counter[frozenset[Flaw]] = Counter()
    for scene in scenes:
        rng = Random(scene.seed)
        right = kind.answer(scene, rng)
        tries = (
            kind.grade(scene, kind.spoil(scene, right, how, rng)).flaws for _ in range(ATTEMPTS)
        )
        first = next(tries)
        failed[frozenset(first)] += 1
        assert first == {how} or {how} in tries, f"never for its own reason: {right}"
    assert failed[frozenset({how})] >= 0.7 * failed.total(), failed
