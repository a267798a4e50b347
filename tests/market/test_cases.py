"""Market folders and tables, each wrong in one way: read right, or refused in words that help.

They lie outside the repository; where that folder is absent, the tests are skipped. The kinds of
fault are tested with rows of our own in test_check.py and test_import_forms.py.
"""

import re
from pathlib import Path

import pytest

from tasks.core.errors import RequestError
from tasks.core.market.check import check_market
from tasks.core.market.importer import import_tables
from tasks.core.market.regimes import regimes_report
from tests.market.folders import rows_of

CASES = Path(__file__).parents[3] / "shared/cases"
pytestmark = pytest.mark.skipif(not CASES.exists(), reason="needs ../shared/cases")

SOUND = (
    "07_tz_seoul",
    "07b_tz_utc_of_seoul_midnight",
    "08_dictionary_tickers",
    "09_int64_yyyymmdd",
    "09b_int64_epoch_ns",
    "09c_text_dates",
    "10b_int_tickers",
    "16_mixed_schemas",
    "17_int96_v1",
    "24_lower_case_code",
    "30_month_zero_padded",
)
"""Folders with nothing wrong: other spellings of the very same days."""

WRONG = {
    "01_missing_months": ("gaps of more than two weeks.*2024-01-31 to 2024-04-01", 38),
    "02_duplicated_days": ("repeat a ticker's day: 30", "is more than once"),
    "03_split_100x": (r"moved by more than half a point.*2024-03-04 \(-0.9 points\)", 81),
    "04_null_caps": ("no stock has a market cap", "of stocks with a market cap"),
    "11_korean_headers": ("has no column date.*market import", "has no column date"),
    "11b_upper_headers": ("has no column ticker.*market import", "has no column ticker"),
    "12_negative_prices": ("a close below 0 and are left out: 52", 81),
    "14_weekend": ("fall on a weekend: 30, e.g. 000270 on 2024-01-13", 82),
    "15_future": (
        "in the future: 30, e.g. 000270 on 2099-01-02",
        "2099-01-02, a day in the future",
    ),
    "16b_text_close_with_commas": ("'56,193'.*market import", "'56,193'"),
    "20_same_day_in_two_months": ("another month than their partition: 30", "more than once in"),
    "21_caps_in_100m_won_in_march": ("change their unit.*: 60", "market caps cannot be right"),
    "22_two_spellings_of_a_ticker": ("repeat a ticker's day: 86", "is more than once"),
    "25_cap_1e24": ("more than 100,000 tn won: 86", "86 market caps cannot be right"),
    "26_flat_prices": ("hardly a close differs.*: 85", "no trading day that can be judged"),
    "27_usd_like_prices": ("half of them below 500.*dollars", 81),
    "29_truncated_file": ("cannot be read as parquet", "cannot be read as parquet"),
}
"""What `market check` says of a folder, and how many days it has or why it is refused."""

ODD = {
    "13_halts": (None, 81),
    "13b_whole_market_halted_one_day": (None, 80),
    "19_nan_inf_close": ("no close and are left out: 91", 81),
}
"""What is told of a folder and does not stop, and how many days it has."""

READ = {
    "a_korean_headers.parquet": 2580,
    "b_int_yyyymmdd.parquet": 2580,
    "c_float_tickers.parquet": 2580,
    "d2_tz_utc.parquet": 2580,
    "d_tz_seoul.parquet": 2580,
    "e_int96.parquet": 2580,
    "f_dictionary.parquet": 2580,
    "g_negative.parquet": 2528,
    "i_conflicting_duplicates.parquet": 2580,
    "j2_commas_utf8bom.csv": 2580,
    "j_commas_euckr.csv": 2580,
    "m_null_caps.parquet": 2580,
    "n_split.parquet": 2580,
    "o_one_day.parquet": 30,
    "p_upper_headers.parquet": 2580,
    "s2_multiindex.parquet": 2580,
    "s_pandas_index_date.parquet": 2580,
    "u_yfinance_suffix.parquet": 2580,
    "v_A_prefix.parquet": 2580,
    "w_close_time_of_day.parquet": 2580,
}
"""Tables that are read, and the rows that come of each."""

SAID = {
    "c_float_tickers.parquet": ("derived", "leading zeros of the code restored", 1376),
    "g_negative.parquet": ("dropped", "negative price, e.g. '-53141.0' in row 1", 52),
    "i_conflicting_duplicates.parquet": ("dropped", "repeated: the last row counts", 30),
    "m_null_caps.parquet": ("missing", "no weight in the market's return", 2580),
    "n_split.parquet": ("odd", r"beyond KRX's daily limit.*005380 on 2024-03-04 \(-99.0 %\)", 1),
}
"""What the report of an import says, in which part, of how many rows."""

REFUSED = {
    "l_future.parquet": "30 in the future, e.g. 2099-01-02 in row 2581.*--allow-closed-days",
    "q_no_close.parquet": "neither a close nor PER or PBR.*to close",
    "t_wide_closes.parquet": "Codes stand in its header.*write it long",
    "y_html_error.csv": "is a web page",
    "z_empty.csv": "is empty",
}
"""Tables that are refused, and words of why."""


@pytest.fixture(scope="module")
def sound_days():
    return regimes_report(CASES / "market" / SOUND[0], None, None, with_days=True)["snapshots"]


@pytest.mark.parametrize("name", SOUND)
def test_sound_folders(name, sound_days):
    folder = CASES / "market" / name
    found = check_market(folder)
    assert found.errors == [] == found.warnings
    assert regimes_report(folder, None, None, with_days=True)["snapshots"] == sound_days


@pytest.mark.parametrize(("name", "told"), WRONG.items(), ids=WRONG)
def test_wrong_folders(name, told):
    said, days = told
    errors = check_market(CASES / "market" / name).errors
    assert any(re.search(said, error) for error in errors), errors
    assert days_of(CASES / "market" / name, days) == days


@pytest.mark.parametrize(("name", "told"), ODD.items(), ids=ODD)
def test_odd_folders(name, told):
    said, days = told
    found = check_market(CASES / "market" / name)
    assert found.errors == [] and len(found.warnings) == bool(said)
    assert not said or said in found.warnings[0]
    assert days_of(CASES / "market" / name, days) == days


def days_of(folder, days):
    """Returns how many days a folder has, or the words of its refusal if they are these."""
    if isinstance(days, int):
        return regimes_report(folder, None, None, with_days=False)["days"]
    with pytest.raises(RequestError, match=days):
        regimes_report(folder, None, None, with_days=False)
    return days


def test_every_case_has_its_word():
    market = {*SOUND, *WRONG, *ODD}
    assert market == {path.name for path in (CASES / "market").iterdir()}
    tables = {*READ, *REFUSED}
    assert tables == {path.name for path in (CASES / "import").iterdir()}


@pytest.mark.parametrize(("name", "rows"), READ.items(), ids=READ)
def test_tables_that_are_read(tmp_path, name, rows):
    report = import_tables([CASES / "import" / name], tmp_path / "m")
    written = rows_of(tmp_path / "m")
    assert report["rows"] == len(written) == rows
    assert {len(row["ticker"]) for row in written} == {6} and not report["unreadable"]
    if rows > 2000:
        assert (report["first"], report["last"], report["tickers"]) == (
            "2024-01-02",
            "2024-04-30",
            30,
        )
    if name in SAID:
        part, words, count = SAID[name]
        [(text, rows_said)] = report[part].items()
        assert re.search(words, text) and rows_said == count


@pytest.mark.parametrize(("name", "words"), REFUSED.items(), ids=REFUSED)
def test_tables_that_are_refused(tmp_path, name, words):
    with pytest.raises(RequestError, match=words):
        import_tables([CASES / "import" / name], tmp_path / "m")
    assert not (tmp_path / "m").exists()
