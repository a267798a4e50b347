"""Cards that are not here, by name or by size."""

import pytest

from tasks.core.errors import RequestError
from tasks.core.training.hardware.datasheets import CARDS, card_of


@pytest.mark.parametrize(
    ("text", "name", "gib"),
    [
        ("24gb", "RTX 4090", 24),
        ("24", "RTX 4090", 24),
        ("80 GiB", "A100", 80),
        ("rtx-3090", "RTX 3090", 24),
        ("RTX 3090 Ti", "RTX 3090 Ti", 24),
        ("A100 80GB", "A100", 80),
        ("A100 40GB", "A100 40GB", 40),
        ("H100", "H100", 80),
        ("20.5gb", "", 20.5),
        ("L40S", "L40S", 45),  # as nvidia-smi shows it
    ],
)
def test_a_card_is_named_or_sized(text, name, gib):
    assert (card_of(text).name, card_of(text).gib) == (name, gib)


def test_an_unknown_card_is_refused_with_those_that_are_known():
    with pytest.raises(
        RequestError,
        match="--card banana is neither a size in GiB .* known cards: RTX 4060, .*H200",
    ):
        card_of("banana")


def test_the_first_card_of_a_size_has_a_speed():
    assert all(card.tflops and card.gb_per_s for card in CARDS)
