"""The net-exposure path: hand-counted, with costs, and nothing of the future in it."""

from dataclasses import replace

import pytest

from tasks.core.evaluation.exposure_path import LEAST_FOR_SHARPE, build_path
from tasks.core.evaluation.path_days import PathDay
from tasks.core.evaluation.told_exposures import Told

RETURNS = (1.0, -2.0, 1.0, 3.0, -1.0)


def path_days(returns=RETURNS, rule=90, band=(80, 100)):
    """Days of December with these returns of the index, in %, all of one regime."""
    return [
        PathDay(f"2025-12-{number:02}", change, rule, band, None)
        for number, change in enumerate(returns, 1)
    ]


def told(*net_pct, **counts):
    """What a model told of the days, each asked about once."""
    return Told(net_pct, (1,) * len(net_pct), **{"without": 0, "beyond_limit": 0, **counts})


def test_five_days_are_as_counted_by_hand():
    path = build_path(path_days(), {"m": told(100.0, None, 50.0, -50.0, 0.0)}, cost_bp=10)
    walk = path.models["m"]
    assert walk.exposure_pct == (100, 100, 50, -50, 0)
    before = [100, 100 * 0.98, 98 * 1.01, 98.98 * 1.015, 100.4647 * 1.005]
    assert walk.value_before == pytest.approx(before)
    # 100, 0, 50, 100 and 50 % of the NAV are traded, at 0.1 % of that.
    after = [99.9, 99.9 * 0.98, 97.902 * 1.0095, 98.832069 * 1.014, 100.215718 * 1.0045]
    assert walk.value_after == pytest.approx(after)
    assert walk.turnover_pct == pytest.approx(300 / 5)
    assert walk.return_before_pct == pytest.approx(0.9670, abs=1e-4)
    assert walk.return_after_pct == pytest.approx(0.6667, abs=1e-4)
    assert walk.drawdown_pct == pytest.approx(100 - 97.902)
    assert (walk.days_in_market, walk.days_in_band) == (4, 2)
    assert (walk.volatility_pct, walk.sharpe) == (None, None), "four returns are too few"
    answers = path.answers["m"]
    assert (answers.days_asked, answers.days_answered, answers.days_kept) == (5, 4, 1)
    assert path.index.value_after == pytest.approx([100, 98, 98.98, 101.9494, 100.929906])
    assert path.rule.exposure_pct == (90,) * 5 and path.rule.turnover_pct == 90 / 5


def test_a_days_answer_earns_nothing_of_that_day():
    """The first day's return belongs to whoever held before it, and no later day's answer changes
    a value before it.
    """
    known = build_path(path_days((30.0, -1.0)), {"m": told(100.0, 0.0)}, cost_bp=0).models["m"]
    assert known.value_before == pytest.approx((100, 99))
    one = build_path(path_days(), {"m": told(100.0, 100.0, 50.0, 0.0, 0.0)}, 5).models["m"]
    other = build_path(path_days(), {"m": told(100.0, 100.0, 50.0, 130.0, -80.0)}, 5).models["m"]
    assert one.value_after[:3] == other.value_after[:3]
    assert one.value_before[:4] == other.value_before[:4]


def test_a_model_that_answers_nothing_stays_in_cash():
    path = build_path(path_days(), {"m": told(*[None] * 5, without=5)}, cost_bp=5)
    walk = path.models["m"]
    assert walk.value_after == (100,) * 5
    assert (walk.turnover_pct, walk.days_in_market, walk.drawdown_pct) == (0, 0, 0)
    assert (path.answers["m"].days_kept, path.answers["m"].replies_without) == (5, 5)


def test_one_day_is_a_trade_and_no_return():
    walk = build_path(path_days((2.0,)), {"m": told(80.0)}, cost_bp=5).models["m"]
    assert walk.return_before_pct == 0
    assert walk.return_after_pct == pytest.approx(-0.04)
    assert (walk.volatility_pct, walk.sharpe, walk.turnover_pct) == (None, None, 80)


def test_the_path_begins_with_the_first_day_that_was_asked_about():
    late = Told((None, None, 60.0, None, 70.0), (0, 0, 1, 0, 1), 0, 0)
    path = build_path(path_days(), {"m": late}, cost_bp=0)
    assert [day.date for day in path.days] == ["2025-12-03", "2025-12-04", "2025-12-05"]
    assert path.models["m"].exposure_pct == (60, 60, 70)
    assert (path.answers["m"].days_asked, path.answers["m"].days_kept) == (2, 1)
    assert build_path(path_days(), {"m": replace(late, asked=(0,) * 5)}, 0) is None
    assert build_path([], {"m": told()}, 0) is None
    assert build_path(path_days(), {}, 0) is None


def test_volatility_and_sharpe_ratio_are_of_a_year():
    changes = [0.0, *[1.0, -0.8] * (LEAST_FOR_SHARPE // 2)]
    full = build_path(path_days(changes), {"m": told(*[100.0] * len(changes))}, cost_bp=0)
    walk = full.models["m"]
    assert walk.volatility_pct == pytest.approx(0.9 * 252**0.5, rel=0.01)
    assert walk.sharpe == pytest.approx(0.1 * 252 / (0.9 * 252**0.5), rel=0.01)
    shorter = build_path(path_days(changes[:-1]), {"m": told(*[100.0] * 252)}, cost_bp=0)
    assert shorter.models["m"].volatility_pct and shorter.models["m"].sharpe is None


def test_a_portfolio_that_is_lost_stays_lost():
    walk = build_path(path_days((0.0, -60.0, 50.0)), {"m": told(200.0, 200.0, 200.0)}, 5).models[
        "m"
    ]
    assert walk.value_after[1:] == (0, 0)
    assert walk.drawdown_pct == 100 and walk.return_after_pct == -100
