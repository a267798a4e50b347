"""A plan: how the engine trains a stage within a card's memory, and what is expected of it.

Beside it stands what a plan can be made from: its limits, and rows that are not made yet.
"""

from dataclasses import dataclass

from tasks.core.errors import RequestError


@dataclass(frozen=True)
class Plan:
    """What the planner decided, and what it expects: GiB at the peak, seconds a step."""

    tokens: int  # most tokens in a micro-batch; a longer row is alone
    checkpointed: int  # number of layers that are checkpointed
    layers: int
    nf4: bool  # whether the base's weights stay NF4, or their values are held in 16 bit
    peak_gib: float
    step_s: float
    quantized: bool = True  # whether the base's values are NF4's at all

    def __str__(self) -> str:
        return (
            f"micro-batches of up to {self.tokens:,} tokens,"
            f" {self.checkpointed} of {self.layers} layers checkpointed, base weights {self._form};"
            f" expected: {self.peak_gib:.1f} GiB, {self.step_s:.2f} s a step"
        )

    @property
    def _form(self) -> str:
        if not self.quantized:
            return "in 16 bit, not quantized"
        return "NF4 as it is" if self.nf4 else "NF4's values in 16 bit"


@dataclass(frozen=True)
class Limits:
    """What a plan has to keep to."""

    memory_gib: float
    weights: str = "auto"  # form of an NF4 base's weights: auto, bf16 or nf4
    quantized: bool = True  # whether the base is NF4; one that is not is held in 16 bit
    tokens: int | None = None  # most tokens in a micro-batch, once a card was full
    checkpointed: int = 0  # least number of layers that are checkpointed


@dataclass(frozen=True)
class ExpectedRows:
    """The rows that a stage will have, as far as its settings say it."""

    count: int
    longest: int  # tokens of the longest one that is trained


class NothingFits(RequestError):
    """No plan needs as little memory as there is."""
