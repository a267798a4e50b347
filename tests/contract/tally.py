"""Mutants of rows, and what the check of data says of them: how many pass, by sort."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

RIGHT_RULES = {
    "answer number": {"decision", "schema"},
    "answer working": {"working"},
    "answer value": {"decision", "regime", "schema"},
    "answer key": {"schema", "decision"},
    "answer ticker": {"tickers", "decision", "names"},
    "answer name": {"names"},
    "text number": {"grounded", "argued"},
    "text regime": {"argued"},
    "text language": {"language"},
    "text script": {"hanja"},
    "question number": {"working", "decision", "regime", "tickers", "grounded", "argued", "prompt"},
    "question word": {"working", "decision", "regime", "tickers", "grounded", "argued", "schema"},
    "question label": {"prompt"},
    "question date": {"date"},
    "question ticker": {"names"},
    "question name": {"names"},
    "question language": {"language", "system"},
    "question script": {"hanja"},
    "system": {"system"},
}
"""Which rules may name each sort of untruth; one of them must."""

MOST_SURVIVE = 0.003
"""The share of the mutants of a sort that may pass."""


@dataclass(frozen=True)
class Mutant:
    sort: str  # of RIGHT_RULES
    what: str  # is changed, for whoever reads the survivors
    row: dict[str, Any]
    true: bool = False


@dataclass
class Tally:
    """How many mutants there are by sort, and those of which the checker says the wrong thing."""

    untrue: Counter = field(default_factory=Counter)
    true: Counter = field(default_factory=Counter)
    survivors: list[Mutant] = field(default_factory=list)  # untrue, and not refused
    misnamed: list[tuple[Mutant, set[str]]] = field(default_factory=list)  # by the wrong rules
    alarms: list[tuple[Mutant, set[str]]] = field(default_factory=list)  # true, yet refused

    def add(self, mutant: Mutant, rules: set[str]) -> None:
        """Counts a mutant, of which the checker names these rules."""
        if mutant.true:
            self.true[mutant.sort] += 1
            if rules:
                self.alarms.append((mutant, rules))
            return
        self.untrue[mutant.sort] += 1
        if not rules:
            self.survivors.append(mutant)
        elif not rules & RIGHT_RULES[mutant.sort]:
            self.misnamed.append((mutant, rules))

    def survived(self) -> Counter:
        return Counter(mutant.sort for mutant in self.survivors)

    def show(self) -> None:
        print()
        survived = self.survived()
        for sort in RIGHT_RULES:
            print(
                f"{sort:18} {self.untrue[sort]:6} untrue, {survived[sort]:3} survive;"
                f" {self.true[sort]:5} stay true"
            )
        for mutant in self.survivors:
            print("survives:", mutant.row["metadata"]["kind"], mutant.sort, mutant.what)
        for mutant, rules in [*self.misnamed, *self.alarms]:
            problem = "true, yet refused:" if mutant.true else "misnamed:"
            kind = mutant.row["metadata"]["kind"]
            print(problem, kind, mutant.sort, mutant.what, sorted(rules))
