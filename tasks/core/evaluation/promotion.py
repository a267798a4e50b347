"""Whether a release gets its name: by its answers' marks, against the model that holds the name or,
where nobody does, against the base it was trained from.

Every limit stands here, with its reason.
"""

from dataclasses import dataclass
from typing import Any, Literal

from tasks.core.evaluation.measures import MEASURES, signed
from tasks.core.evaluation.records import Mark
from tasks.core.evaluation.statistics import difference, estimate

LEAST_READABLE = 0.9
"""The share of replies that have to obey their schema. A reply that does not is none to the app
that asked for it, and a model that is asked with the schema breaks it only by not coming to an end.

A release is refused if its whole interval lies below: of a few questions one reply cut at the token
limit says little, but none of four that can be read says enough.
"""

MARGIN = 0.05
"""A mean grade may fall by so much against the holder's, as long as the fall may be chance: one
answer in twenty all wrong instead of all right.

A larger fall keeps the holder in place, chance or not. On few questions the interval spans
everything, and it is the newcomer who has to show that it is as good.
"""

GUARDED = ("fully_right", "schema_valid", "regime_accuracy", "exposure_in_band")
"""What a release must not certainly lose against the holder, however its mean grade is: an app
reads the schema, and an order follows from regime and exposure.
"""

Against = Literal["holder", "base"]


@dataclass(frozen=True)
class Rival:
    """The model that a release is weighed against, and its marks on the same questions."""

    who: Against
    marks: list[Mark]


@dataclass(frozen=True)
class Decision:
    """Whether the name moves to the release, and why."""

    promote: bool
    against: Against | None  # None if there was nobody to weigh the release against
    difference: dict[str, Any] | None  # of the mean grades, release − rival, as an estimate
    reasons: list[str]  # a sentence for each measure that was looked at, with its figures


@dataclass(frozen=True)
class _Finding:
    """What one measure says."""

    passed: bool
    reason: str


def decide(release: list[Mark], rival: Rival | None, days: list[str]) -> Decision:
    """Decides whether a release may take the name; `days` holds each question's day.

    It never may if too few of its replies can be read. Against a holder it may unless it certainly
    answers worse (the whole 95 % interval of the paired difference lies below 0), or worse by more
    than MARGIN. Against the base it may if its mean grade is the higher one: a training that did
    not help is not served under the name, whatever chance had to do with it.
    """
    findings = [_readable(release, days)]
    grades = None
    if rival is None:
        findings.append(
            _Finding(
                True,
                "whether it answers better than its base is not known: the base was not asked"
                " (evaluation.baseline=false)",
            )
        )
    else:
        grades = _differences("grade", rival.marks, release, days)
        findings.append(_grade_finding(rival, release, grades, days))
    if rival is not None and rival.who == "holder":
        findings += [_guarded(name, rival.marks, release, days) for name in GUARDED]
    return Decision(
        promote=all(finding.passed for finding in findings),
        against=rival.who if rival else None,
        difference=grades,
        reasons=[finding.reason for finding in findings],
    )


def _readable(release: list[Mark], days: list[str]) -> _Finding:
    share = estimate(_values("schema_valid", release), days)
    passed = share["high"] >= LEAST_READABLE
    needed = f"the {_percent(LEAST_READABLE)} % that are needed"
    if share["value"] >= LEAST_READABLE:
        outcome = f"at least {needed}"
    elif passed:
        outcome = f"too few questions to say that it is less than {needed}"
    else:
        outcome = f"less than {needed}"
    return _Finding(
        passed,
        f"replies that obey their schema: {_percent(share['value'])} %"
        f" [{_percent(share['low'])}, {_percent(share['high'])}] of {share['n']}: {outcome}",
    )


def _grade_finding(
    rival: Rival, release: list[Mark], grades: dict[str, Any], days: list[str]
) -> _Finding:
    old = estimate(_values("grade", rival.marks), days)["value"]
    new = estimate(_values("grade", release), days)["value"]
    figures = (
        f"mean grade against the {rival.who}'s: {old:.3f} → {new:.3f},"
        f" difference {_signed(grades)} over {grades['n']} questions of {grades['days']} days"
    )
    if rival.who == "base":
        passed = grades["value"] > 0
        outcome = "it answers better" if passed else "it answers no better"
    elif grades["high"] < 0:
        passed, outcome = False, "it certainly answers worse"
    else:
        passed = grades["value"] >= -MARGIN
        limit = f"{MARGIN} may be lost by chance"
        outcome = f"kept ({limit})" if passed else f"it answers worse ({limit})"
    return _Finding(passed, f"{figures}: {outcome}")


def _guarded(measure: str, old: list[Mark], new: list[Mark], days: list[str]) -> _Finding:
    words = MEASURES[measure]
    change = _differences(measure, old, new, days)
    if change["value"] is None:
        return _Finding(True, f"{words}: no question asks for it")
    passed = change["high"] >= 0
    outcome = "kept" if passed else "certainly fell"
    return _Finding(passed, f"{words}: difference {_signed(change)}, n {change['n']}: {outcome}")


def _differences(measure: str, old: list[Mark], new: list[Mark], days: list[str]) -> dict[str, Any]:
    return difference(_values(measure, old), _values(measure, new), days)


def _values(measure: str, marks: list[Mark]) -> list[float | None]:
    return [mark[measure] for mark in marks]


def _signed(change: dict[str, Any]) -> str:
    """A difference with its interval: −0.079 [−0.420, +0.245]."""
    value, low, high = (signed(change[name]) for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"
