"""What the decisions of several kinds are made of."""

from tasks.core.kinds import kind_named
from tasks.core.records.facts import StockFacts
from tasks.core.strategy.deciding import Choice, settled
from tasks.core.strategy.holdings import ratios
from tasks.core.strategy.rules import EXPOSURES
from tests.kinds.given import each_regime, facts_of, stocks_of


def test_a_choice_allows_its_value_its_span_and_its_others():
    assert [size for size in range(8, 22) if Choice(15, 10, 20).allows(size)] == list(range(10, 21))
    assert Choice("a", others=("b",)).allows("b") and not Choice("a", others=("b",)).allows("c")
    assert not Choice(15, 10, 20).allows("15") and not Choice(15, 10, 20).allows(None)


def test_ratios_become_integers_and_absent_ones_stay_absent():
    stock = StockFacts("005930", {"per": 12.3, "pbr": 1.15})
    assert ratios(stock) == {"per_x10": 123, "pbr_x100": 115}
    assert ratios(StockFacts("005930", {"per": 0.6})) == {"per_x10": 6}
    assert ratios(StockFacts("005930")) == {}


@each_regime
def test_with_a_regime_given_the_decision_is_that_regimes(regime):
    """What a mistaken reader would decide: the rejected answers are made of it."""
    other = "BEAR" if regime != "BEAR" else "STRONG_BULL"
    decision = settled(kind_named("full_analysis").decide(facts_of(other, stocks_of(8)), regime))
    assert decision["regime"] == regime
    assert EXPOSURES[regime].net[0] <= decision["net_exposure_pct"] <= EXPOSURES[regime].net[1]
