"""The settings of an evaluation: what is asked, and which models are asked beside the release."""

from typing import Annotated, Literal

from tasks.core.settings.section import LATER, Count, Section

ComparedName = Literal["base", "briefed", "stage1", "stage2", "stage3", "f16"]
COMPARED: tuple[ComparedName, ...] = ("base", "briefed", "stage1", "stage2", "stage3", "f16")


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
    models: Annotated[list[ComparedName], LATER] = ["base"]
    """The models that are asked beside the release: base; briefed, which is the base with the rule
    card of each question's kind; the earlier stages (quantized as the release is); and the
    release's own F16. Stages that do not run are left out.
    """
