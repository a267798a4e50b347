"""Checks of the policy's log-probs.

They are the same alone and in a batch, and no further from float32 than rounding explains; and
DPO's reference is what it has to be. Each function looks at one thing and returns it as
report.Check; report.Report stops the stage if one does not hold. A figure that is not a number
never holds.
"""

import math
from dataclasses import dataclass

import torch

from tasks.core.training.checks.compared import SETTLED, Compared, ReferenceGap, Rounding
from tasks.core.training.checks.report import Check

# nats a token, on average over an answer
SAME_LOSS = {torch.float32: 1e-4, torch.bfloat16: 2e-2, torch.float16: 2e-2}

# packed rows may be so many times as far from float32 as PEFT; over 130 tokens, runs without a
# fault were 0.7 to 1.7 times as far (SmolLM2)
_ROUNDING = 3
# up to _SURE_NATS a token they may be twice that far: a model that is sure of nearly every token
# rounds in a few of them alone, in others where rows are packed, and a root mean square of few
# tokens varies. Without a fault: 3.0 times 0.011 nats (SmolLM2, trained to 0.03 nats a token)
_ROUNDING_IF_SURE, _SURE_NATS = 6, 0.05
_ROUNDING_FLOOR = 1e-4  # nats: float32's own rounding, from the order of sums alone
# the mean may be off by so much of a token's rounding, because rows that begin alike share their
# beginning's; a run without a fault leaned by 0.41 (SmolLM2)
_LEAN = 1

_LN2_TOLERANCE = 1e-3  # of the DPO loss at ln 2 and of the rewards at 0
# nats an answer: the same weights and kernels, so only the order of sums may differ
_LOG_PROB_TOLERANCE = 1e-2


def check_packing(compared: Compared, remedy: str, moment: str = "at_start") -> Check:
    """Checks that a few answers have the same mean log-probs alone and beside other rows.

    They are compared in nats a token, each answer for itself, and so is the mean over all of them:
    most noise cancels in it, and a fault that leans one way does not. In 16 bits fewer than SETTLED
    tokens may differ by more, because their mean is noisier. `remedy` is the setting that avoids
    the fault.
    """
    tokens = torch.cat([compared.tokens, compared.tokens.sum(0, keepdim=True)])
    gaps = compared.alone - compared.together
    mean_gap = (gaps * compared.tokens).sum(0, keepdim=True) / compared.tokens.sum()
    gaps = torch.cat([gaps, mean_gap]).abs()
    limits = torch.full_like(gaps, SAME_LOSS[compared.dtype])
    if compared.dtype != torch.float32:
        limits *= (SETTLED / tokens).sqrt().clamp(min=1)
    worst = (gaps / limits).argmax()  # a gap that is not a number counts as the largest
    gap, limit = gaps[worst].item(), limits[worst].item()
    problem = ""
    if not gap <= limit:
        problem = (
            "Log-probs of rows packed together differ from those of each row alone by"
            f" {gap:.4f} nats a token, more than {limit:.2g}. Use {remedy}."
        )
    name = f"packed_against_alone_{moment}"
    return Check(name, round(gap, 6), "nats a token", f"<= {limit:.2g}", problem)


def check_rounding(
    rounding: Rounding, tokens: int, remedy: str, moment: str = "at_start"
) -> list[Check]:
    """Checks that packed log-probs are about as far from float32's as PEFT's, rounded likewise.

    What is further off is not rounding. The packed tokens' mean has to be off by less: most
    rounding cancels in it, and a fault that leans one way does not. Rounding hits few tokens hard,
    so fewer than SETTLED tokens may be further off.
    """
    noisier = max(1, SETTLED / tokens) ** 0.5
    usual = noisier * rounding.usual
    of_sure = min(_ROUNDING_IF_SURE * usual, _SURE_NATS)
    far = max(_ROUNDING * usual, of_sure, _ROUNDING_FLOOR)
    lean = max(_LEAN * usual, _ROUNDING_FLOOR)
    begin = "Log-probs of rows packed together are off from float32's by"
    end = f"rounding makes {rounding.usual:.2g} of each row alone. Use {remedy}."
    problem = leaning = ""
    if not rounding.off <= far:
        problem = f"{begin} {rounding.off:.4f} nats a token, more than {far:.3g}: {end}"
    if not abs(rounding.lean) <= lean:
        leaning = f"{begin} {abs(rounding.lean):.4f} nats on average, more than {lean:.3g}: {end}"
    return [
        Check(
            f"off_from_float32_{moment}",
            round(rounding.off, 6),
            "nats a token",
            f"<= {far:.3g}",
            problem,
        ),
        Check(
            f"mean_off_from_float32_{moment}",
            round(rounding.lean, 6),
            "nats a token",
            f"+- {lean:.3g}",
            leaning,
        ),
    ]


@dataclass(frozen=True)
class _Tolerance:
    """How far a figure may be from the right one."""

    unit: str
    right: float
    allowed: float

    def check(self, name: str, value: float, problem: str) -> Check:
        """Returns the check of a figure; the problem counts only if the figure is too far off."""
        limit = f"<= {self.allowed:g}"
        if self.right:
            limit = f"{self.right:.6f} +- {self.allowed:g}"
        if abs(value - self.right) <= self.allowed:
            problem = ""
        return Check(name, round(value, 6), self.unit, limit, problem)


_LOSS = _Tolerance("nats", math.log(2), _LN2_TOLERANCE)
_REWARD = _Tolerance("", 0, _LN2_TOLERANCE)
_LOG_PROB = _Tolerance("nats an answer", 0, _LOG_PROB_TOLERANCE)


def check_reference(gap: ReferenceGap) -> list[Check]:
    """Checks DPO's start: a loss of ln 2, rewards of 0, and the reference's log-probs.

    These follow if the starting policy's weights are the reference's.
    """
    begin = "Before the first step"
    return [
        _LOSS.check(
            "dpo_loss",
            gap.loss,
            f"{begin} the DPO loss is {gap.loss:.6f}, not ln 2 = {math.log(2):.6f}.",
        ),
        _REWARD.check("dpo_reward", gap.reward, f"{begin} a reward is {gap.reward:.6f}, not 0."),
        _LOG_PROB.check(
            "dpo_log_prob_gap",
            gap.log_prob,
            f"{begin} the policy's log-probs differ from its reference's by {gap.log_prob:.4f}"
            " nats.",
        ),
    ]


def check_reference_stayed(gap: ReferenceGap) -> Check:
    """Checks that the starting weights still have the reference's log-probs after the stage.

    The reference was given them before the first step.
    """
    return _LOG_PROB.check(
        "dpo_reference_at_the_end",
        gap.log_prob,
        f"The reference moved while the stage trained: its log-probs differ by {gap.log_prob:.4f}"
        " nats an answer.",
    )
