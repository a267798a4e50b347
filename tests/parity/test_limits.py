"""What a hop may differ, in words with units; each quantization has limits of its own."""

from dataclasses import replace

from tasks.core.parity.figures import Estimate, Figures
from tasks.core.parity.limits import BY_TYPE, CONVERSION, breaches
from tasks.core.records.quantizations import BITS


def figures(**changes):
    right = Figures(
        name="merge",
        seconds=1.0,
        nats=Estimate(0.5, 0.01),
        kl_mean=Estimate(0.0, 0.0),
        kl_high=0.0,
        same_top=Estimate(1.0, 0.0),
    )
    return replace(right, **changes)


def test_every_quantization_has_limits_and_fewer_bits_have_wider_ones():
    assert list(BY_TYPE) == list(BITS)
    limits = list(BY_TYPE.values())
    assert [one.kl_mean for one in limits] == sorted(one.kl_mean for one in limits)
    assert [one.kl_high for one in limits] == sorted(one.kl_high for one in limits)


def test_a_breach_says_figure_limit_and_unit():
    found = breaches(
        figures(
            nats=Estimate(0.9, 0.01),
            kl_mean=Estimate(0.3, 0.1),
            kl_high=4.0,
            same_top=Estimate(0.5, 0.1),
            faults=("it has no chat template",),
        ),
        figures(),
        CONVERSION,
    )
    assert found == [
        "it has no chat template",
        "mean KL rises from 0 to 0.3 nats a token (limit 0.001)",
        "99.9 % KL rises from 0 to 4 nats (limit 0.05)",
        "the right answers' cost rises from 0.5 to 0.9 nats a token (limit 0.005)",
        "the same top token falls from 100.0 to 50.0 % (limit 1)",
    ]


def test_better_answers_are_no_breach():
    assert not breaches(figures(nats=Estimate(0.1, 0.01)), figures(), CONVERSION)


def test_a_hop_does_not_answer_for_the_one_before():
    lost = figures(kl_mean=Estimate(0.015, 0.001), same_top=Estimate(0.95, 0.01))
    assert not breaches(lost, lost, CONVERSION)
