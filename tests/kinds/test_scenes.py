"""Scenes: what the data gives is told, and what it does not give is recorded as simulated."""

from dataclasses import replace
from random import Random

from tasks.core.kinds import kind_named
from tasks.core.kinds.base import Scene
from tasks.core.kinds.catalog import (
    intraday_rebalancing,
    opening_momentum,
    regime_classification,
    sector_analysis,
)
from tasks.core.kinds.scenes import Draw, draw_scene
from tasks.core.strategy.rules import NUMBERS
from tasks.core.strategy.universe import get_stock
from tests.synthetic import made_up_days

KINDS_DRAWN = (opening_momentum, sector_analysis, regime_classification, intraday_rebalancing)


def test_what_the_data_does_not_give_is_recorded_as_simulated():
    days = made_up_days()
    for seed in range(60):
        for kind in KINDS_DRAWN:
            for real in (True, False):
                scene = draw_scene(kind, days, Draw("en", real=real), Random(seed))
                said = set(scene.facts.numbers)
                for stock in scene.facts.stocks:
                    said.update(stock.numbers)
                given = (set(NUMBERS) if real else set()) | {"beta", "per", "pbr"}
                assert set(scene.simulated) == said - given


def test_what_a_macro_file_gives_is_not_simulated_on_that_day():
    days = made_up_days()
    macro = {day.date: {"vix": 21.37, "usdkrw": 1301.24} for day in days.snapshots}
    days = replace(days, macro=macro)
    kind = kind_named("overnight_gap")
    seen = set()
    for seed in range(40):
        scene = draw_scene(kind, days, Draw("en"), Random(seed))
        assert scene.facts.numbers["vix"] == 21.4 and "vix" not in scene.simulated
        assert "us_return_pct" in scene.simulated
        seen.add(scene.facts.numbers.get("usdkrw"))
        invented = draw_scene(kind, days, Draw("en", real=False), Random(seed))
        assert "vix" in invented.simulated
    assert seen == {None, 1301.2}


def with_stocks(days, **changes):
    """The stocks of made-up days, each with these changes."""
    changed = {}
    for date, stocks in days.stocks.items():
        changed[date] = [replace(stock, **changes) for stock in stocks]
    return changed


def test_tier_beta_and_us_correlation_say_whether_they_were_measured():
    days = made_up_days()
    measured = with_stocks(days, beta=0.777, market_cap=0.5e12, us_correlation=0.6)
    table = with_stocks(days, market_cap=None)
    mixed = {date: [*measured[date][:3], *table[date][3:6]] for date in table}

    def scene(stocks, of_kind) -> Scene:
        return draw_scene(of_kind, replace(days, stocks=stocks), Draw("en"), Random(4))

    for of_kind, names in (
        (sector_analysis, ("beta",)),
        (opening_momentum, ("tier", "us_correlation")),
    ):
        assert scene(measured, of_kind).origins == dict.fromkeys(names, "measured")
        assert scene(table, of_kind).origins == dict.fromkeys(names, "table")
    assert scene(mixed, kind_named("full_analysis")).origins == {"beta": "measured and table"}
    for stock in scene(measured, sector_analysis).facts.stocks:
        assert stock.numbers["beta"] == 0.78
    for stock in scene(measured, opening_momentum).facts.stocks:
        assert stock.words == {"us_correlation": "high", "tier": "mid"}
    for stock in scene(table, opening_momentum).facts.stocks:
        shipped = get_stock(stock.ticker)
        assert stock.words == {"us_correlation": shipped.us_correlation, "tier": shipped.tier}


def test_a_valuation_that_means_nothing_is_not_printed():
    days = made_up_days()
    days = replace(days, stocks=with_stocks(days, per=0.5, pbr=50.0))
    scene = draw_scene(kind_named("full_analysis"), days, Draw("en"), Random(1))
    assert all(set(stock.numbers) == {"beta"} for stock in scene.facts.stocks)
