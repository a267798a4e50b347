"""opening_momentum: five points, the trade that they make, and nothing bought in a bear market."""

from dataclasses import replace

import pytest

from tasks.core.kinds.catalog import opening_momentum
from tasks.core.records.facts import Facts, StockFacts
from tasks.core.strategy.deciding import settled
from tasks.core.strategy.rules import NUMBERS
from tests.kinds.given import DAYS, facts_of, parts_after
from tests.synthetic import scene_on


def opened(gap, volume, f_score, correlation, tier):
    return StockFacts(
        "005930",
        {"gap_pct": gap, "volume_x": volume, "f_score": f_score},
        {"us_correlation": correlation, "tier": tier},
    )


@pytest.mark.parametrize(
    ("stock", "verdict"),
    [
        ((3.0, 3.0, 6, "medium", "large"), (0, "WEAK", "SKIP", 0, 0)),
        ((3.1, 3.0, 6, "medium", "large"), (1, "WEAK", "SKIP", 0, 0)),
        ((3.0, 3.1, 6, "medium", "large"), (1, "WEAK", "SKIP", 0, 0)),
        ((3.0, 3.0, 7, "medium", "large"), (1, "WEAK", "SKIP", 0, 0)),
        ((3.0, 3.0, 6, "high", "large"), (1, "WEAK", "SKIP", 0, 0)),
        ((3.0, 3.0, 6, "low", "mid"), (1, "WEAK", "SKIP", 0, 0)),
        ((3.0, 3.0, 6, "low", "mid_large"), (0, "WEAK", "SKIP", 0, 0)),
        ((3.1, 3.1, 6, "low", "small_mid"), (2, "MODERATE", "ADD", 3, 155)),
        ((3.1, 3.1, 7, "low", "large"), (3, "STRONG", "ADD", 5, 155)),
        ((9.0, 7.0, 9, "high", "mid"), (5, "STRONG", "ADD", 8, 450)),
        ((-4.2, 3.1, 7, "low", "large"), (2, "MODERATE", "ADD", 3, 210)),
    ],
)
def test_each_test_that_is_passed_is_a_point(stock, verdict):
    entry = settled(opening_momentum.decide(facts_of("MILD_BULL", [opened(*stock)])))
    assert tuple(entry["opening_analysis"][0].values()) == ("005930", *verdict)


def test_a_bear_market_scores_and_buys_nothing():
    strong = opened(9.0, 7.0, 9, "high", "mid")
    decision = settled(opening_momentum.decide(facts_of("BEAR", [strong])))
    assert tuple(decision["opening_analysis"][0].values())[1:] == (5, "STRONG", "SKIP", 0, 0)
    assert decision["working"][1].startswith("BEAR: buy nothing")
    assert decision["working"][2].endswith("5 STRONG, BEAR SKIP")
    assert decision["working"][3] == "no ADD"


def test_the_working_gives_the_points_one_by_one_and_the_sum_of_the_weights():
    both = [opened(2.9, 5.8, 7, "high", "mid"), opened(6.6, 3.1, 9, "low", "large")]
    assert opening_momentum.decide(facts_of("MILD_BULL", both))["working"][1:] == [
        "MILD_BULL: may buy; points: gap > 3, vol > 3, F >= 7, US high, mid",
        "005930: gap 2.9 0, vol 5.8 1, F 7 1, US high 1, mid 1: 4 STRONG, ADD 7, stop 2.9/2=1.45",
        "005930: gap 6.6 1, vol 3.1 1, F 9 1, US low 0, large 0: 3 STRONG, ADD 5, stop 6.6/2=3.30",
        "ADD 7+5=12",
    ]


def test_a_weight_may_lie_anywhere_between_three_and_eight():
    facts = Facts(
        dict(zip(NUMBERS, DAYS["MILD_BULL"], strict=True)), (opened(5.0, 4.0, 8, "low", "mid"),)
    )
    weight = opening_momentum.decide(facts)["opening_analysis"][0]["weight_pct"]
    assert [size for size in range(12) if weight.allows(size)] == [3, 4, 5, 6, 7, 8]


def test_a_weight_outside_its_band_and_a_purchase_in_a_bear_market_are_wrong():
    def bought(weight):
        def change(answer):
            answer["opening_analysis"][0] |= {
                "action": "ADD",
                "weight_pct": weight,
                "stop_bp": 175,
                "reason": f"buy {weight}% of it",
            }
            answer["recommendation"] = f"buy {weight}% of it"

        return change

    mild = scene_on(opening_momentum, DAYS["MILD_BULL"])
    assert parts_after(opening_momentum, mild, bought(3)) - {"argued"} == set()
    assert parts_after(opening_momentum, mild, bought(2)) - {"argued"} == {"actions"}
    bear = scene_on(opening_momentum, DAYS["BEAR"])
    assert "actions" in parts_after(opening_momentum, bear, bought(3))


def test_the_card_shows_what_the_working_looks_like():
    stock = opened(2.9, 5.8, 7, "high", "mid")
    stock = replace(stock, ticker="108320")
    steps = opening_momentum.decide(facts_of("MILD_BULL", [stock]))["working"][1:3]
    assert opening_momentum.card.isascii()
    assert all(f'"{step}"' in opening_momentum.card for step in steps)
