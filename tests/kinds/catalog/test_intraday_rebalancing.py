"""intraday_rebalancing: stops, targets, the limit per stock and the band, down and up."""

from dataclasses import replace

import pytest

from tasks.core.kinds.catalog import intraday_rebalancing
from tasks.core.records.facts import StockFacts
from tasks.core.strategy.deciding import settled
from tasks.core.strategy.rules import EXPOSURES, REGIMES
from tasks.core.strategy.universe import stocks
from tests.kinds.given import DAYS, facts_of, parts_after
from tests.synthetic import scene_on


def book(*positions):
    """Positions of the universe's first stocks: a weight, or a weight and a profit or loss."""
    facts = []
    for stock, position in zip(stocks(), positions, strict=False):
        weight, pnl = position if isinstance(position, tuple) else (position, 0.0)
        facts.append(StockFacts(stock.ticker, {"weight_pct": float(weight), "pnl_pct": pnl}))
    return facts


def decided(regime, *positions, **numbers):
    decision = settled(intraday_rebalancing.decide(facts_of(regime, book(*positions), **numbers)))
    entries = decision["rebalancing_decision"]
    decision["targets"] = [entry["target_weight_pct"] for entry in entries]
    decision["actions"] = [entry["action"] for entry in entries]
    return decision


@pytest.mark.parametrize(
    ("regime", "positions", "targets", "actions"),
    [
        ("MILD_BULL", (18, 18, 18, 18, 18), [18] * 5, ["HOLD"] * 5),
        ("MILD_BULL", (21, 20, 20, 20, 20), [18] * 5, ["TRIM"] * 5),
        # a stop and a target go, and the others are bought up to 18
        (
            "MILD_BULL",
            ((18, -8.0), (18, 15.0), 16, 15, 18, 18, 18),
            [0, 0, 16, 15, 18, 18, 18],
            ["EXIT", "EXIT", "HOLD", "HOLD", "HOLD", "HOLD", "HOLD"],
        ),
        # a loss in a weak regime is halved, rounded down, and is not bought back
        ("WEAKENING", ((17, -3.0), 18, 18, 18), [8, 18, 18, 18], ["TRIM", "HOLD", "HOLD", "HOLD"]),
        ("MILD_BULL", ((17, -3.0), 18, 18, 18, 18), [17, 18, 18, 18, 18], ["HOLD"] * 5),
        # 90 comes down to 80 pro rata
        ("WEAKENING", (18, 18, 18, 18, 18), [16] * 5, ["TRIM"] * 5),
        # 74 goes up to 80: the room of 2 and 14 gets 1 and 5
        ("MILD_BULL", (16, 4, 18, 18, 18), [17, 9, 18, 18, 18], ["BUY", "BUY"] + ["HOLD"] * 3),
        ("BEAR", ((18, 5.0), (10, -9.0)), [0, 0], ["EXIT", "EXIT"]),
    ],
)
def test_the_book_obeys_stops_targets_limit_and_band_in_that_order(
    regime, positions, targets, actions
):
    decision = decided(regime, *positions)
    assert (decision["targets"], decision["actions"]) == (targets, actions)
    assert decision["unplaced_pct"] == 0


@pytest.mark.parametrize(
    ("regime", "positions", "assessment"),
    [
        ("MILD_BULL", (20, 20, 20, 20, 20), "IN_BAND"),  # 100 % is the band's end
        ("MILD_BULL", (21, 20, 20, 20, 20), "OVER_EXPOSED"),
        ("MILD_BULL", (16, 16, 16, 16, 16), "IN_BAND"),
        ("MILD_BULL", (16, 16, 16, 16, 15), "UNDER_EXPOSED"),
        ("BEAR", (6,), "OVER_EXPOSED"),
    ],
)
def test_the_book_is_assessed_as_it_was(regime, positions, assessment):
    assert decided(regime, *positions)["overall_assessment"] == assessment


def test_what_finds_no_room_is_named_and_what_is_not_held_is_not_bought():
    decision = decided("MILD_BULL", 18, 15, (10, -9.0), 0)
    assert decision["targets"] == [18, 18, 0, 0] and decision["unplaced_pct"] == 80 - 36


@pytest.mark.parametrize(("stated", "most"), [(12.0, 12), (30.0, 18)])
def test_a_questions_own_limit_per_stock_counts_if_it_is_the_lower(stated, most):
    assert decided("MILD_BULL", 27, max_weight_pct=stated)["targets"] == [most]


@pytest.mark.parametrize("regime", REGIMES)
def test_every_book_ends_in_its_band_with_what_is_unplaced(regime):
    low, high = EXPOSURES[regime].long_gross
    for weight in range(1, 28, 2):
        for names in range(1, 9):
            decision = decided(regime, *[weight] * names, (9, -8.5), (14, -4.0), (20, 16.0))
            gross = sum(decision["targets"])
            assert gross <= high and gross + decision["unplaced_pct"] >= min(low, gross + 1)
            assert max(decision["targets"]) <= 18
            if decision["unplaced_pct"]:
                assert gross + decision["unplaced_pct"] == low


def test_the_working_shows_every_sum():
    working = decided("WEAKENING", 18, (22, -5.4), (14, 15.6), 17, 10)["working"]
    assert working[1:] == [
        "now 18+22=40+14=54+17=71+10=81; band 60 to 80: OVER_EXPOSED",
        "005930 +0.0: -3 to 15 HOLD 18<=18, room 18-18=0",
        "000660 -5.4: -8 to -3, weak: REDUCE 22/2=11 11<=18",
        "042700 +15.6: >=15 TAKE_PROFIT 0",
        "036930 +0.0: -3 to 15 HOLD 17<=18, room 18-17=1",
        "000990 +0.0: -3 to 15 HOLD 10<=18, room 18-10=8",
        "kept 18+11=29+17=46+10=56; 60-56=4 to buy, room 1+8=9: 1*4/9=0, 8*4/9=3; +1, +3,"
        " unplaced 0",
    ]


def scene_of(*positions, regime="MILD_BULL"):
    scene = scene_on(intraday_rebalancing, DAYS[regime])
    return replace(scene, facts=facts_of(regime, book(*positions)))


def aim(*targets):
    """Sets the target weights and their actions."""
    reasons = ("kept", "bought within the limit", "full", "left full", "raised towards the band")

    def change(answer):
        entries = answer["rebalancing_decision"]
        for entry, (target, action), words in zip(entries, targets, reasons, strict=True):
            entry |= {"target_weight_pct": target, "action": action}
            entry["reason"] = f"At a target of {target}% it is {words}."

    return change


def test_purchases_may_be_spread_in_another_way_if_the_book_ends_in_its_band():
    scene = scene_of(16, 10, 18, 18, 13)
    taught = decided("MILD_BULL", 16, 10, 18, 18, 13)
    assert taught["targets"] == [17, 13, 18, 18, 14] and taught["unplaced_pct"] == 0
    other = [(16, "HOLD"), (12, "BUY"), (18, "HOLD"), (18, "HOLD"), (16, "BUY")]
    assert parts_after(intraday_rebalancing, scene, aim(*other)) == set()
    too_few = [(16, "HOLD"), (10, "HOLD"), (18, "HOLD"), (18, "HOLD"), (13, "HOLD")]
    assert "exposure" in parts_after(intraday_rebalancing, scene, aim(*too_few))


def test_an_action_that_is_not_its_own_targets_is_seen():
    scene = scene_of(16, 10, 18, 18)

    def held(answer):
        answer["rebalancing_decision"][0]["action"] = "HOLD"

    assert "actions" in parts_after(intraday_rebalancing, scene, held)


def test_a_stop_that_is_overlooked_is_seen():
    scene = scene_of((16, -9.0))

    def kept(answer):
        answer["rebalancing_decision"][0] |= {"action": "HOLD", "target_weight_pct": 16}

    assert "actions" in parts_after(intraday_rebalancing, scene, kept)
