"""Rows of public bug reports: each is read right, dropped with its reason, or refused in words that
help.

They lie outside the repository; where that folder is absent, the tests are skipped. The kinds of
fault are tested with rows of our own in test_sources.py, test_tables.py and test_download.py.
"""

from collections import Counter
from pathlib import Path

import pytest

from tasks.core.data.cleaning import Cleaned, clean_row, iterate_rows
from tasks.core.data.download import fetch_source, fingerprints
from tasks.core.data.sources.shares import shares_of
from tasks.core.data.tables import table_files
from tasks.core.errors import RequestError
from tasks.core.files.digests import digest_file
from tasks.core.records.artifacts import no_progress
from tasks.core.settings.data import Data
from tasks.core.settings.tree import Model

REPORTS = Path(__file__).parents[3] / "shared/cases/reports"
pytestmark = pytest.mark.skipif(not REPORTS.exists(), reason="needs ../shared/cases/reports")

QUESTION = "0번째 질문: 지수가 -3% 움직였습니다. 국면은?"
ANSWER = "0번째 답변: 완만한 상승입니다. 근거는 등락 비율 40%입니다."

READ = [
    "c01-sharegpt/rows.jsonl",
    "c01-sharegpt/messages-from-value.jsonl",
    "c01-sharegpt/role-model.jsonl",
    "c02-python-repr/rows.csv",
    "c04-content-parts/rows.jsonl",
    "c04-content-parts/developer.jsonl",
    "c07-appledouble/set",
    "c07-appledouble/nb",
    "c08-mojibake/cp949-as-latin1.jsonl",
    "c08-mojibake/nfd.jsonl",
    "c08-mojibake/bom-inside.jsonl",
    "c11-json-shapes/array.jsonl",
    "c11-json-shapes/wrapped.json",
    "c11-json-shapes/pretty.jsonl",
    "c11-json-shapes/concatenated.jsonl",
    "c11-json-shapes/nested-json-string.jsonl",
    "c12-parquet/binary.parquet",
    "c12-parquet/dictionary.parquet",
    "c12-parquet/dup-columns.parquet",
    "c12-parquet/nulls.parquet",
]
"""Files whose 60 rows all say the same question and answer, each with its number."""

READ_WITH_LINES = {
    "c08-mojibake/crlf.jsonl": (f"{QUESTION}\r\n둘째 줄", f"{ANSWER}\r\n끝"),
    "c11-json-shapes/line-sep.jsonl": (f"{QUESTION}\u2028x", f"{ANSWER}…y"),
}
"""Files whose rows hold more than one line, and what the first says."""

DROPPED = {
    "c04-content-parts/weight.jsonl": "answer of weight 0 in messages",
    "c08-mojibake/nbsp-blank.jsonl": "blank in assistant",
    "c08-mojibake/replacement.jsonl": "lost character (U+FFFD) in user",
    "c09-special-token-text/rows.jsonl": "special token of a chat template in messages",
    "c12-parquet/list-answer.parquet": "not text in assistant",
}
"""Files whose 60 rows must not be trained, and why not."""

REFUSED = {
    "c05-save-to-disk/mine": "was written by datasets' save_to_disk",
    "c05-save-to-disk/dict": 'to_parquet("rows.parquet"), of a split',
    "c11-json-shapes/columns.json": "holds columns (user, assistant), not rows",
    "c30-lfs-pointer/rows.csv": "is a Git LFS pointer",
    "c30-lfs-pointer/rows.jsonl": "is a Git LFS pointer",
    "c30-lfs-pointer/train.parquet": "git lfs pull",
}
"""What no row can be read of, and words of why."""


def plan(name, cache):
    """What `kospilot plan demo data.own=NAME data.own_share=1` looks at."""
    data = Data(own=str(REPORTS / name), own_share=1)
    fingerprints(Model(base="demo"), data, cache, digest_file)
    return data


def rows_of(name, folder):
    """The rows as normalize cleans them: a conversation, or why it is dropped."""
    data = plan(name, folder / "cache")
    [own] = shares_of(data)
    fetch_source(own, data, folder, folder / "cache", no_progress)
    files = table_files(folder / "sources", "own")
    return [clean_row(own, row) for row in iterate_rows(own, files)]


def said(row):
    assert isinstance(row, Cleaned)
    return tuple(turn.text for turn in row.chat.turns)


@pytest.mark.parametrize("name", READ)
def test_read(tmp_path, name):
    rows = rows_of(name, tmp_path)
    assert len(rows) == len({said(row) for row in rows}) == 60
    assert said(rows[0]) == (QUESTION, ANSWER)
    assert [turn.role for turn in rows[0].chat.turns] == ["user", "assistant"]


@pytest.mark.parametrize("name", READ_WITH_LINES)
def test_read_with_its_lines(tmp_path, name):
    rows = rows_of(name, tmp_path)
    assert len(rows) == 60
    assert said(rows[0]) == READ_WITH_LINES[name]


def test_developer_is_system(tmp_path):
    rows = rows_of("c04-content-parts/developer.jsonl", tmp_path)
    assert {row.chat.system for row in rows} == {"s"}


@pytest.mark.parametrize("name", DROPPED)
def test_dropped_and_counted_and_told_at_plan(tmp_path, name, caplog):
    assert Counter(rows_of(name, tmp_path)) == {DROPPED[name]: 60}
    assert "60 of the first 60 rows" in caplog.text
    assert DROPPED[name] in caplog.text


@pytest.mark.parametrize("name", REFUSED)
def test_refused_at_plan(tmp_path, name):
    with pytest.raises(RequestError) as refusal:
        plan(name, tmp_path)
    assert REFUSED[name] in str(refusal.value)
