"""Tables and folders of public bug reports: each is read right, or refused in words that help.

They lie outside the repository; where that folder is absent, the tests are skipped. The kinds of
fault are tested with rows of our own in test_import_forms.py.
"""

import importlib.util
import shutil
from pathlib import Path

import pytest

from tasks.core.errors import RequestError, WorkError
from tasks.core.market import krx
from tasks.core.market.check import check_market
from tasks.core.market.importer import import_tables
from tasks.core.market.regimes import regimes_report
from tasks.core.market.update import update_market
from tests.market.folders import rows_of

REPORTS = Path(__file__).parents[3] / "shared/cases/reports"
pytestmark = pytest.mark.skipif(not REPORTS.exists(), reason="needs ../shared/cases/reports")

READ = {
    "m01-pykrx-ticker-header/ohlcv.csv": 120,
    "m03-yahoo-suffix/prices.csv": 120,
    "m05-cp949-late/prices.csv": 2005,
    "m06-title-lines/prices.csv": 120,
    "m07-separators/tab.csv": 120,
    "m07-separators/semi.csv": 120,
    "m07-separators/unicode.csv": 120,
    "m08-won-and-commas/won.csv": 120,
    "m08-won-and-commas/sign.csv": 120,
    "m08-won-and-commas/commas.csv": 120,
    "m09-dates/T.csv": 120,
    "m09-dates/Z.csv": 120,
    "m09-dates/compact.csv": 120,
    "m09-dates/dotend.csv": 120,
    "m09-dates/dotspace.csv": 120,
    "m09-dates/dow.csv": 120,
    "m09-dates/epochms.csv": 120,
    "m09-dates/float.csv": 120,
    "m09-dates/float.parquet": 120,
    "m09-dates/hangul.csv": 120,
    "m09-dates/iso.csv": 120,
    "m09-dates/kst.csv": 120,
    "m09-dates/serial.csv": 120,
    "m09-dates/slash.csv": 120,
    "m09-dates/tz.parquet": 120,
    "m09-dates/utc.csv": 120,
    "m09-dates/utcclock.csv": 120,
    "m10-ragged/cr.csv": 120,
    "m10-ragged/crlf.csv": 120,
    "m10-ragged/header-again.csv": 119,
    "m10-ragged/total.csv": 120,
    "m11-duplicate-header/adj.csv": 120,
    "m14-bracket-path/prices.csv": 120,
    "m15-types/bytes.parquet": 120,
    "m15-types/category.parquet": 120,
    "m15-types/multiindex.parquet": 120,
    "m15-types/ns.parquet": 120,
    "m15-types/text.parquet": 120,
    "m16-zero-day/zeros.csv": 116,
    "m17-split-halt/split.csv": 120,
    "m18-index-among-tickers/prices.csv": 120,
    "m20-cap-units/jo.csv": 120,
    "m20-cap-units/eok.csv": 120,
    "m20-cap-units/mil.csv": 120,
    "m21-kiwoom-signs/signs.csv": 120,
    "m27-new-codes/prices.csv": 120,
    "m27-new-codes/excel.csv": 90,
    "m28-preferred-name-in-code/formula.csv": 120,
    "m28-preferred-name-in-code/isin.csv": 120,
    "m28-preferred-name-in-code/krx.csv": 120,
    "m28-preferred-name-in-code/name.csv": 120,
    "m28-preferred-name-in-code/quote.csv": 120,
}
"""Tables that are read, and the rows that come of each."""

REFUSED = {
    "m03-yahoo-suffix/multi.csv": "second header row",
    "m03-yahoo-suffix/multi.parquet": "Codes stand in its header",
    "m04-krx-in-name/pykrx_005930.csv": "no column for ticker: its headers are 날짜, 시가",
    "m09-dates/short.csv": "no date, e.g. '24/01/02' in row 1",
    "m09-dates/us.csv": "no date, e.g. '01/02/2024' in row 1",
    "m10-ragged/comment.csv": "line 122, has 1 field, the header has 8: '# source: KRX'",
    "m10-ragged/cut.csv": "line 122, has 1 field",
    "m10-ragged/every-comma.csv": "line 2, has 9 fields, the header has 8",
    "m10-ragged/trailing-comma.csv": "line 11, has 9 fields",
    "m11-duplicate-header/adj-only.csv": "Rename Adj Close to close",
    "m11-duplicate-header/prices.csv": "more than one column for close",
    "m15-types/float16.parquet": "float16.parquet: close holds half floats",
    "m15-types/uint64.parquet": "uint64.parquet: volume holds 1.84467e",
    "m15-types/unnamed-index.parquet": "df.index.name = 'date'",
    "m19-wide/closes.csv": "Codes stand in its header",
    "m19-wide/kospi_close.csv": "Codes stand in its header",
}
"""Tables that are refused, and words of why."""


@pytest.mark.parametrize(("name", "rows"), READ.items(), ids=READ)
def test_read(tmp_path, name, rows):
    folder = tmp_path / "[백업] 2024 KRX"
    report = import_tables([REPORTS / name], folder)
    assert report["rows"] == len(rows_of(folder)) == rows
    assert report["first"] == "2024-01-02"
    assert not report["unreadable"]


@pytest.mark.parametrize(("name", "words"), REFUSED.items(), ids=REFUSED)
def test_refused(tmp_path, name, words):
    with pytest.raises(RequestError) as refusal:
        import_tables([REPORTS / name], tmp_path / "m")
    assert words in str(refusal.value)
    assert not (tmp_path / "m").exists()


def test_market_caps_have_their_unit(tmp_path):
    caps = {}
    for name in ("jo", "eok", "mil"):
        import_tables([REPORTS / f"m20-cap-units/{name}.csv"], tmp_path / name)
        caps[name] = rows_of(tmp_path / name)[0]["market_cap"]
    assert caps["eok"] == pytest.approx(caps["jo"], rel=1e-4)
    assert caps["mil"] == pytest.approx(caps["jo"] / 100, rel=1e-4)


@pytest.mark.parametrize("name", ["cp949", "float", "isin"])
def test_listing(tmp_path, name):
    listing = REPORTS / f"m24-listing/listing_{name}.csv"
    report = import_tables([REPORTS / "m24-listing/prices.csv"], tmp_path / "m", listing)
    assert sum(report["derived"].values()) == 120


def test_partitions_of_pandas(tmp_path):
    folder = shutil.copytree(REPORTS / "m12-pandas-partitioned/market", tmp_path / "m")
    assert check_market(folder).errors == []
    days = regimes_report(folder, None, None, False)["days"]
    import_tables([REPORTS / "m14-bracket-path/prices.csv"], folder)
    assert check_market(folder).summary["partitions"] == 2
    assert regimes_report(folder, None, None, False)["days"] == days


def test_months_with_a_zero(tmp_path):
    folder = shutil.copytree(REPORTS / "m13-zero-padded-month/market", tmp_path / "m")
    import_tables([REPORTS / "m13-zero-padded-month/feb.csv"], folder)
    assert check_market(folder).errors == []
    assert regimes_report(folder, None, None, False)["days"] == 25


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("index", "a column 'Date'"),
        ("text", "not numbers"),
        ("nan", None),
        ("tz", None),
        ("utc21", None),
    ],
)
def test_macro(tmp_path, name, problem):
    import_tables([REPORTS / "m14-bracket-path/prices.csv"], tmp_path)
    shutil.copy(REPORTS / f"m26-macro/{name}.parquet", tmp_path / "macro.parquet")
    problems = check_market(tmp_path).errors
    assert bool(problems) == bool(problem)
    assert not problem or problem in problems[0]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("renamed", "gave the listing without Code: it has Symbol, Name, Stocks"),
        ("nostocks", "gave the listing without Stocks"),
        ("emptylist", "gave the listing without a row"),
        ("html", "KRX did not give the listing"),
        ("novolume", "gave the prices of 000100 without Volume"),
        ("none", "KRX gave no prices of any ticker.*last day in .* is 2024-02-12"),
        ("empty", "KRX gave no prices of any ticker.*last day in .* is 2024-02-12"),
        ("lastnan", None),
        ("unnamed", None),
        ("stocks-text", None),
        ("dup", None),
        ("descending", None),
        ("tz", None),
    ],
)
def test_update(tmp_path, monkeypatch, case, words):
    place = REPORTS / "u01-fake-fdr/FinanceDataReader/__init__.py"
    spec = importlib.util.spec_from_file_location("fake_reader", place)
    reader = importlib.util.module_from_spec(spec)
    monkeypatch.setenv("CASE", case)
    spec.loader.exec_module(reader)
    monkeypatch.setattr(krx, "reader", reader)
    import_tables([REPORTS / "m14-bracket-path/prices.csv"], tmp_path)

    def update():
        listing = krx.fetch_listing()
        return update_market(tmp_path, krx.fetch_prices, listing, "2024-02-20", lambda *_: None)

    if words is None:
        assert update()["last"] == "2024-02-20"
    else:
        with pytest.raises(WorkError, match=words):
            update()
        assert check_market(tmp_path).summary["last"] == "2024-02-12"
