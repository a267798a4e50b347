"""Texts that are nearly copies of others, by the runs of words that they have in common."""

from collections import Counter
from dataclasses import dataclass, field

from tasks.core.word_runs import runs_in

NEAR = 0.5
"""Share of runs of five words that two questions have in common (Jaccard) from which one is the
other's copy. Between 400 questions and 1,500 rows of one market 0.18 was the most; a question
with one number changed has 0.8.
"""


@dataclass
class KnownTexts:
    """Texts that others are held against."""

    runs: dict[str, list[int]] = field(default_factory=dict)  # run of words -> texts that have it
    lengths: list[int] = field(default_factory=list)  # runs of each text

    def add(self, text: str) -> None:
        """Takes one more text."""
        own = runs_in(text)
        for run in own:
            self.runs.setdefault(run, []).append(len(self.lengths))
        self.lengths.append(len(own))

    def is_near(self, text: str) -> bool:
        """Whether one of them has NEAR of its runs in common with this text."""
        own = runs_in(text)
        common: Counter[int] = Counter()
        for run in own:
            common.update(self.runs.get(run, ()))
        for index, both in common.items():
            if both / (len(own) + self.lengths[index] - both) >= NEAR:
                return True
        return False
