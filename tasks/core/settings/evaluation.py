"""The settings of an evaluation: what is asked, and which models are asked beside the release."""

from typing import Annotated, Literal

from pydantic import Field

from tasks.core.settings.section import LATER, Count, Section

ComparedName = Literal["base", "briefed", "stage1", "stage2", "stage3", "f16"]
COMPARED: tuple[ComparedName, ...] = ("base", "briefed", "stage1", "stage2", "stage3", "f16")

COST_BP = 5.0
"""What trading costs in hundredths of a percent of what is traded: an assumption for KRX-listed
index funds. Of it 1.5 are an online broker's usual commission (0.015 %), the rest is half of the
tick of 5 won: 0.7 at a price of 35,000 won, 5 at 5,000 won. A sale of fund units pays no securities
transaction tax in Korea.
"""


class Evaluation(Section):
    questions: Count = 200
    """Questions in the frozen set, from held-out days and unseen templates."""
    max_tokens: Count = 4_096
    """Most tokens of a reply; a question whose right answer is short allows fewer. A longer reply
    is cut, and fails.
    """
    baseline: bool = True
    """Ask the base model the same questions and show it beside the release. Where nobody holds the
    release's name, it is promoted only if it answers better.
    """
    seed: int = 42
    """Seed of the question set."""
    asks: Annotated[Literal["strategy", "rows"], LATER] = "strategy"
    """What the models are asked: questions of the strategy about held-out days, or the rows that
    data.test_share kept from training, each question of theirs.
    """
    models: Annotated[list[ComparedName], LATER] = ["base"]
    """The models that are asked beside the release: base; briefed, which is the base with the rule
    card of each question's kind; the earlier stages (quantized as the release is); and the
    release's own F16. Stages that do not run are left out.
    """
    path_days: Annotated[int, Field(ge=0), LATER] = 100
    """The last held-out days that are each asked about once more, for the net-exposure path; those
    answers are in no other figure. With 0 nothing more is asked, and the path has what the frozen
    questions tell.
    """
    cost_bp: Annotated[float, Field(ge=0, le=1_000), LATER] = COST_BP
    """What the path's trades cost, in basis points (0.01 %) of what is traded: commission and half
    the spread.
    """
