"""Cards that are not here: their memory and speed, to make plans without them. Loads no torch."""

import re
from dataclasses import dataclass

from tasks.core.errors import RequestError

# shares of its data sheet's figures that an H200 reached: 750 of 989 TFLOP/s in a layer's products,
# 4.0 of 4.8 TB/s in copies
_OPERATIONS_REACHED, _BANDWIDTH_REACHED = 0.76, 0.83


@dataclass(frozen=True)
class Card:
    """A card as its data sheet describes it; its speeds are 0 if they are not known."""

    name: str
    gib: float
    tflops: float = 0.0  # dense bf16 products, summed in float32
    gb_per_s: float = 0.0

    @property
    def operations(self) -> float:
        """The operations of 16-bit products a second, as a model's layers reach them."""
        return _OPERATIONS_REACHED * 1e12 * self.tflops

    @property
    def bandwidth(self) -> float:
        """The bytes read or written a second."""
        return _BANDWIDTH_REACHED * 1e9 * self.gb_per_s


# From NVIDIA's data sheets and architecture white papers (GA102, AD102, GB202, GA100, GH100,
# Blackwell). A GeForce's product summed in float32 runs at half the rate of its float16 figure, and
# an L4 or L40S keeps a sixteenth of its memory to correct errors in the rest. The first card of a
# size stands for all of that size.
CARDS = (
    Card("RTX 4060", 8, 30, 272),
    Card("RTX 3060", 12, 25, 360),
    Card("RTX 4070", 12, 58, 504),
    Card("RTX 4080", 16, 97, 717),
    Card("RTX 4060 Ti", 16, 44, 288),
    Card("L4", 22.5, 121, 300),
    Card("RTX 4090", 24, 165, 1008),
    Card("RTX 3090", 24, 71, 936),
    Card("RTX 3090 Ti", 24, 80, 1008),
    Card("RTX 5090", 32, 210, 1792),
    Card("A100 40GB", 40, 312, 1555),
    Card("L40S", 45, 362, 864),
    Card("RTX A6000", 48, 155, 768),
    Card("A100", 80, 312, 2039),
    Card("H100", 80, 989, 3350),
    Card("H200", 140, 989, 4800),
    Card("B200", 180, 2250, 8000),
)
_TYPICAL = Card("", 0, 165, 1008)
KERNEL_START = 7.5e-6
"""Seconds that a processor takes to start a kernel: 7 to 9 us in eight tries on one host of an
H200.
"""


def card_of(text: str) -> Card:
    """Returns a card by its name, or one of that many GiB: `RTX 4090`, `A100 80GB`, `8gb`, `20.5`.

    Raises RequestError if the text is neither.
    """
    plain = re.sub(r"[\s_-]", "", text.lower())
    for card in CARDS:
        name = card.name.lower().replace(" ", "")
        if plain in (name, f"{name}{card.gib:g}gb"):
            return card
    size = re.fullmatch(r"(\d+(?:\.\d+)?)(?:gi?b)?", plain)
    if not size:
        raise RequestError(
            f"--card {text} is neither a size in GiB (8gb, 24gb, 20) nor one of the known cards:"
            f" {', '.join(card.name for card in CARDS)}."
        )
    gib = float(size[1])
    for card in CARDS:
        if card.gib == gib:
            return card
    return Card("", gib)


def card_with_speed(card: Card) -> Card:
    """Returns the card by whose speed plans are compared: a typical one if it has none."""
    return card if card.tflops else _TYPICAL
