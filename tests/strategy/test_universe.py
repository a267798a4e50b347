"""The universe is KRX's: codes, names and tiers agree with a listing, and the tables agree with
each other.
"""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from tasks.core.records.market import StockDay
from tasks.core.strategy import universe

LISTING = Path(__file__).parents[2] / "../shared/data/market/krx_listing_2026-03-20.csv"


@pytest.fixture(scope="module")
def listing() -> dict[str, dict[str, str]]:
    if not LISTING.exists():
        pytest.skip(f"{LISTING.name} is not there: codes and names were not compared with KRX's")
    with LISTING.open(encoding="utf-8-sig", newline="") as file:
        return {row["Code"]: row for row in csv.DictReader(file)}


def test_every_code_and_name_is_krx_own(listing):
    wrong = [
        (stock.ticker, stock.name_ko, listing.get(stock.ticker, {}).get("Name"))
        for stock in universe.stocks()
        if listing.get(stock.ticker, {}).get("Name") != stock.name_ko
    ]
    assert wrong == []


def test_every_tier_holds_the_market_cap(listing):
    wrong = []
    for stock in universe.stocks():
        low, high = universe.TIERS[stock.tier]
        if not low <= float(listing[stock.ticker]["Marcap"]) < high:
            wrong.append((stock.ticker, stock.tier))
    assert wrong == []


def test_an_etf_code_is_no_listed_company(listing):
    assert [etf.ticker for etf in universe.etfs() if etf.ticker in listing] == []


def test_about_a_hundred_stocks_over_four_tiers():
    tiers = Counter(stock.tier for stock in universe.stocks())
    assert 95 <= len(universe.stocks()) <= 110
    assert set(tiers) == set(universe.TIERS) and min(tiers.values()) >= 10


def test_codes_and_names_are_unique():
    entries = [*universe.stocks(), *universe.etfs()]
    owners: dict[str, str] = {}
    for entry in entries:
        assert re.fullmatch(r"[0-9A-Z]{6}", entry.ticker)
        for name in universe.names(entry.ticker):
            assert (
                name == name.strip()
                and owners.setdefault(name.casefold(), entry.ticker) == entry.ticker
            )
    assert len({entry.ticker for entry in entries}) == len(entries)


def test_every_sector_is_used_and_its_ranges_rise():
    assert {stock.sector for stock in universe.stocks()} == {
        sector.name for sector in universe.sectors()
    }
    for sector in universe.sectors():
        for low, high in (sector.per, sector.pbr, sector.ev_ebitda, sector.roe):
            assert 0 < low < high
        assert re.search("[가-힣]", sector.name_ko)


def test_values_of_the_columns():
    for stock in universe.stocks():
        assert stock.us_correlation in ("high", "medium", "low")
        assert 0.1 < stock.beta < 2.5
    businesses = Counter(stock.business for stock in universe.stocks())
    assert set(businesses) == set(universe.BUSINESSES) and businesses["exporter"] >= 20
    assert {etf.group for etf in universe.etfs()} == {
        "long_us",
        "inverse_us",
        "long_kospi",
        "short_kospi",
        "leveraged_kospi",
    }


def test_lookup():
    samsung = universe.find_stock("005930")
    assert samsung is not None and samsung.name_ko == "삼성전자" and samsung.tier == "large"
    assert universe.names("005930") == ("삼성전자", "Samsung Electronics")
    assert universe.names("035420") == ("NAVER",)
    assert universe.names("114800") == ("KODEX 인버스",)
    assert universe.get_stock("005930") is samsung
    assert universe.find_stock("999999") is None and universe.names("999999") == ()
    with pytest.raises(KeyError, match="999999"):
        universe.get_stock("999999")


def day(ticker: str, **facts) -> StockDay:
    return StockDay(ticker, 1000.0, 0.1, None, None, facts.pop("market_cap", None), **facts)


@pytest.mark.parametrize(
    ("cap", "tier"),
    [
        (10e12, "large"),
        (9.99e12, "mid_large"),
        (1e12, "mid_large"),
        (0.99e12, "mid"),
        (0.3e12, "mid"),
        (0.29e12, "small_mid"),
        (0.05e12, "small_mid"),
    ],
)
def test_the_days_market_cap_decides_the_tier(cap, tier):
    assert universe.tier_of(day("005930", market_cap=cap)) == (tier, "measured")


def test_without_measured_values_the_table_answers():
    samsung = universe.find_stock("005930")
    assert universe.tier_of(day("005930")) == ("large", "table")
    assert universe.beta_of(day("005930")) == (samsung.beta, "table")
    assert universe.us_correlation_of(day("005930")) == (samsung.us_correlation, "table")


@pytest.mark.parametrize(
    "value_of", [universe.tier_of, universe.beta_of, universe.us_correlation_of]
)
def test_outside_the_universe_there_is_no_table_to_answer(value_of):
    with pytest.raises(KeyError, match="999990"):
        value_of(day("999990"))


def test_measured_values_overrule_the_table():
    assert universe.beta_of(day("005930", beta=0.0)) == (0.0, "measured")
    levels = [
        universe.us_correlation_of(day("005930", us_correlation=r))
        for r in (0.45, 0.44, 0.25, 0.24, -0.9)
    ]
    assert levels == [(level, "measured") for level in ("high", "medium", "medium", "low", "low")]
