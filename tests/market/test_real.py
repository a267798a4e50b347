"""Real files of KRX's market: what the import makes of each, and what its days show.

The files may lie beside the repository; a test whose file is not there is skipped.
"""

from datetime import date
from math import prod
from pathlib import Path
from statistics import correlation

import pytest

from tasks.core.errors import RequestError
from tasks.core.market.artifact import build_market
from tasks.core.market.check import check_market
from tasks.core.market.importer import import_tables
from tasks.core.market.regimes import regimes_report
from tasks.core.market.snapshots import snapshots
from tasks.core.market.stock_index import read_index
from tasks.core.records.market_days import read_marks, read_stocks
from tasks.core.settings.tree import Market
from tasks.core.strategy import universe
from tests.market.folders import rows_of

DATA = Path(__file__).parents[2] / "../shared/data/market"

pytestmark = pytest.mark.slow


def real(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"{name} is not there: the import of real data was not tried")
    return DATA / name


@pytest.fixture(scope="module")
def six_years(tmp_path_factory):
    """A folder with the real prices of 2020-2025, and the import's report.

    It has a later listing's share counts, and the KOSPI beside the prices.
    """
    folder = tmp_path_factory.mktemp("markets") / "six_years"
    given = [real("ohlcv_top200_2020_2025.parquet"), real("kospi_index_2015_2026.csv")]
    return folder, import_tables(given, folder, real("krx_listing_2026-03-20.csv"))


def test_six_real_years(six_years, tmp_path):
    folder, report = six_years
    assert (report["rows"], report["days"], report["tickers"]) == (275_618, 1_473, 198)
    assert report["derived"]["market cap = close x the shares of a listing (2026-03-20)"] == 275_618
    assert report["dropped"] == {} == report["missing"]
    built = build_market(folder, Market(), tmp_path / "out")
    assert built["train_until"] == "2025-08-29" and built["universe_stocks"] >= 70
    assert read_marks(tmp_path / "out" / "train") == {
        "generated": False,
        "market_cap_listings": ["2026-03-20"],
    }


COUNTS = {
    "previous_day": {
        "STRONG_BULL": 79,
        "MILD_BULL": 722,
        "WEAKENING": 435,
        "SHORT_TERM_STRESS": 204,
        "BEAR": 28,
    },
    "same_day": {
        "STRONG_BULL": 91,
        "MILD_BULL": 728,
        "WEAKENING": 433,
        "SHORT_TERM_STRESS": 191,
        "BEAR": 25,
    },
}
"""The days of each regime by the weights; an independent reading gives the same."""


@pytest.mark.parametrize("weights", COUNTS)
def test_the_regimes_of_six_real_years(six_years, weights):
    report = regimes_report(six_years[0], None, None, with_days=True, weights=weights)
    assert (report["days"], report["first"], report["last"]) == (1_468, "2020-01-09", "2025-12-30")
    assert report["counts"] == COUNTS[weights]
    days = {day["date"]: day for day in report["snapshots"]}
    assert days["2020-03-19"]["regime"] == "BEAR" and days["2020-03-19"]["return_pct"] < -5
    assert days["2020-03-24"]["return_pct"] > 5 and days["2024-08-05"]["return_pct"] < -6


def kospi_beside(folder, weights):
    """Returns the market's and the KOSPI's returns in %, on the days that both have."""
    closes = {row["date"].isoformat(): row["close"] for row in read_index(folder).to_pylist()}
    before = dict(zip(sorted(closes)[1:], sorted(closes), strict=False))
    days = [day for day in snapshots(folder, weights=weights) if day.date in closes]
    kospi = [100 * (closes[day.date] / closes[before[day.date]] - 1) for day in days]
    return days, [day.return_pct for day in days], kospi


def growth(returns):
    return prod(1 + move / 100 for move in returns)


def test_the_real_market_moves_with_the_kospi(six_years):
    """By the weights of an index it ends where its names explain, by same-day ones far above.

    Of its 198 names 35 are no KOSPI names, which add 3 %. The 163 others are 89 % of the KOSPI's
    cap, taken by their size in 2026: since 2020 their own caps grew by more than twice as much as
    those of the rest, which as a whole stood still (x 1.00), while the KOSPI grew by 1.94.
    """
    days, market, kospi = kospi_beside(six_years[0], "previous_day")
    assert len(days) > 1_460 and correlation(market, kospi) > 0.95
    assert 1.05 < growth(market) / growth(kospi) < 1.13
    for year in ("2021", "2022", "2024"):
        of_year = [position for position, day in enumerate(days) if day.date.startswith(year)]
        ours, index = (growth([of[position] for position in of_year]) for of in (market, kospi))
        assert ours == pytest.approx(index, rel=0.03)
    _, inflated, _ = kospi_beside(six_years[0], "same_day")
    assert growth(inflated) > 2 * growth(kospi)


def test_measured_betas_of_six_real_years(six_years, tmp_path):
    build_market(six_years[0], Market(), tmp_path / "out")
    last = list(read_stocks(tmp_path / "out" / "train").values())[-1]
    betas = {stock.ticker: stock.beta for stock in last if stock.beta is not None}
    assert len(betas) >= 70 and 0.4 < sum(betas.values()) / len(betas) < 1.4
    assert betas["000660"] > 1 > betas["033780"], "a chip maker swings more than a tobacco maker"
    assert {universe.tier_of(stock)[1] for stock in last} == {"table"}, (
        "a later listing's caps are weights only"
    )


def test_a_real_month_and_a_half_is_split_at_its_last_fifth(tmp_path):
    report = import_tables([real("marcap_2024-01_2024-02.csv.gz")], tmp_path / "m")
    assert (report["rows"], report["days"], report["derived"]) == (80_828, 29, {})
    built = build_market(tmp_path / "m", Market(), tmp_path / "out")
    assert (built["train"]["days"], built["holdout"]["days"]) == (20, 4)
    stocks = read_stocks(tmp_path / "out" / "train")["2024-01-09"]
    samsung = next(stock for stock in stocks if stock.ticker == "005930")
    assert samsung.market_cap > 4e14 and -5 < samsung.return_pct < 5
    assert (
        universe.tier_of(samsung) == ("large", "measured")
        and universe.beta_of(samsung)[1] == "table"
    )


def test_a_real_snapshot_as_downloaded(tmp_path):
    report = import_tables([real("krx_snapshot_2020-01-15_dirty.csv")], tmp_path / "m")
    assert (report["rows"], report["days"], report["dropped"]) == (2_105, 1, {})
    samsung = next(row for row in rows_of(tmp_path / "m") if row["ticker"] == "005930")
    assert (samsung["close"], samsung["pe_ratio"], samsung["pb_ratio"]) == (59_000, 9.13, 1.67)


def test_real_valuations_join_real_prices(tmp_path):
    prices, values = (
        real("ohlcv_top200_2020_2025.parquet"),
        real("kospi_per_pbr_2024-07_2025-07.parquet"),
    )
    report = import_tables([prices, values], tmp_path / "m", real("krx_listing_2026-03-20.csv"))
    assert report["rows"] == 275_618
    [dropped] = report["dropped"]
    assert dropped.startswith(f"{values.name}: valuation without a price that day, e.g. ")
    assert 10 < check_market(tmp_path / "m").summary["with_per_pct"] < 20


def test_real_valuations_alone_are_refused(tmp_path):
    with pytest.raises(
        RequestError,
        match=r"Nothing to import.*valuation without a price that day, e.g. .* \(224413\)",
    ):
        import_tables([real("kospi_per_pbr_2024-07_2025-07.parquet")], tmp_path / "m")


def test_the_real_index_is_kept_for_the_plot(tmp_path):
    report = import_tables([real("kospi_index_2015_2026.csv")], tmp_path / "m")
    assert (report["rows"], report["index_days"]) == (0, 2_752)
    first = read_index(tmp_path / "m").to_pylist()[0]
    assert (first["date"], first["close"]) == (date(2015, 1, 2), 1926.44)
