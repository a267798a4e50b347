"""Reading local files: what is broken is refused with the file, and the line where there is one."""

import json
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.core.data import tables
from tasks.core.data.sources.columns import require_columns
from tasks.core.data.sources.krx_won import KRX_WON
from tasks.core.data.sources.sujet_finance import SUJET_FINANCE
from tasks.core.data.tables import read_columns, read_rows
from tasks.core.errors import RequestError

ROWS = [
    {"prompt": "q,\n한글", "original_response": '"a"'},
    {"prompt": "q2", "original_response": "\u2028"},
]


def written(folder, ending):
    file = folder / f"rows{ending}"
    if ending == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), file)
    elif ending == ".csv":
        file.write_text(
            'prompt,original_response\n"q,\n한글","""a"""\nq2,\u2028\n', encoding="utf-8-sig"
        )
    elif ending == ".json":
        file.write_text(json.dumps(ROWS, indent=2, ensure_ascii=False), encoding="utf-8-sig")
    else:
        lines = [json.dumps(row, ensure_ascii=False) for row in ROWS]
        file.write_text(
            "\n\n".join(lines), encoding="utf-8-sig"
        )  # a blank line, and no line end at the end
    return file


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".json", ".csv"])
def test_every_format_gives_the_same_rows(tmp_path, ending):
    file = written(tmp_path, ending)
    assert list(read_rows(file)) == ROWS
    assert list(read_rows(file, {"prompt"})) == [{"prompt": row["prompt"]} for row in ROWS]
    assert read_columns(file) == ["prompt", "original_response"]


def test_a_json_file_may_hold_lines_and_an_array_may_be_longer_than_a_chunk(tmp_path):
    file = written(tmp_path, ".jsonl").rename(tmp_path / "rows.json")
    assert list(read_rows(file)) == ROWS
    many = [{"prompt": "한" * 997, "n": n} for n in range(3_000)]
    file.write_text(json.dumps(many, ensure_ascii=False), encoding="utf-8")
    assert list(read_rows(file)) == many


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.jsonl",
            b'{"prompt": "q"}\n{"prompt": "q',
            r"a\.jsonl, line 2, is not JSON .*: '\{\"prompt\": \"q'.*cut short",
        ),
        ("a.jsonl", b'{"prompt": 1}\n\xff\n', r"a\.jsonl, line 2, is not UTF-8"),
        ("a.json", b'[{"prompt": 1}, {"prompt": ', r"a\.json, row 2, is not JSON"),
        (
            "a.csv",
            b'prompt,b\n"open,1\n',
            r"a\.csv, line 2, is not CSV \(unexpected end of data\): quote fields",
        ),
        (
            "a.csv",
            "prompt\nq\n".encode("cp949") + b"\xff",
            r"a\.csv is not UTF-8 \(invalid start byte at byte 9\)",
        ),
        ("a.csv", "prompt\nq\n".encode("utf-16"), r"a\.csv is not UTF-8 but looks like UTF-16"),
        (
            "a.jsonl",
            '{"prompt": 1}'.encode("utf-16-le"),
            r"a\.jsonl is not UTF-8 but looks like UTF-16",
        ),
        ("a.json", bytes(4_096), r"a\.json is not UTF-8 but .* was never written out"),
        ("a.jsonl", b"", r"a\.jsonl is empty \(0 bytes\): write or fetch it again"),
        ("a.parquet", b"", r"a\.parquet is empty"),
        ("a.jsonl", b"[" * 100_000 + b"\n", r"a\.jsonl, row 1, is not JSON"),
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1\noid", "is a Git LFS pointer"),
        ("a.parquet", b"PAR1 cut", r"a\.parquet is not a whole parquet file"),
        ("a.xlsx", b"", r"a\.xlsx is none of \.parquet, \.jsonl, \.json, \.csv"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RequestError, match=message):
        list(read_rows(tmp_path / name))


def test_a_parquet_file_cut_in_the_middle_is_refused(tmp_path):
    file = written(tmp_path, ".parquet")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(RequestError, match=r"rows\.parquet is not a whole parquet file"):
        read_columns(file)


def test_a_missing_column_is_named_with_the_nearest_one(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "q", "orginal_response": "a"}\n', encoding="utf-8")
    with pytest.raises(
        RequestError,
        match=r"no column original_response, which krx_won needs\. Did you mean orginal_res",
    ):
        require_columns(KRX_WON, [file])


def test_either_name_of_a_column_will_do(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("system_prompt,inputs,answer\n", encoding="utf-8")
    require_columns(SUJET_FINANCE, [file])
    file.write_text("system_prompt,answer\n", encoding="utf-8")
    with pytest.raises(RequestError, match="no column user_prompt or inputs"):
        require_columns(SUJET_FINANCE, [file])


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"gone\.jsonl is not there: name a file"):
        list(read_rows(tmp_path / "gone.jsonl"))


@pytest.mark.parametrize(
    ("ending", "start"),
    [
        (".jsonl", b'{"prompt": 1}\n{"prompt": "'),
        (".csv", b'prompt\n"'),
        (".json", b'[{"prompt": "'),
    ],
)
def test_a_gigabyte_without_a_line_end_is_refused_before_it_is_read(tmp_path, ending, start):
    """NULs fill the sparse file: read whole, it would take several GB."""
    file = tmp_path / f"rows{ending}"
    with file.open("wb") as sparse:
        sparse.write(start)
        sparse.truncate(1 << 30)
    tracemalloc.start()
    try:
        with pytest.raises(RequestError, match=r"(line|row) [12],? .*longer than 16 MiB"):
            list(read_rows(file))
        assert tracemalloc.get_traced_memory()[1] < 150 << 20
    finally:
        tracemalloc.stop()


def test_a_field_over_many_lines_is_refused_at_the_limit_too(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "LONGEST_ROW", 1_000)
    (tmp_path / "rows.csv").write_text('prompt\n"' + "open\n" * 1_000, encoding="utf-8")
    with pytest.raises(
        RequestError, match=r"rows\.csv, line \d+, is not CSV \(field larger than field limit"
    ):
        list(read_rows(tmp_path / "rows.csv"))


def test_a_nul_inside_a_field_is_left_to_the_sources(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"prompt\na\0b\n")
    assert list(read_rows(tmp_path / "rows.csv")) == [{"prompt": "a\0b"}]


SHAPED = [{"user": f"질문 {number}", "assistant": "답"} for number in range(3)]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(SHAPED),
        json.dumps({"version": "1.0", "count": 3, "data": SHAPED, "more": [1]}, indent=1),
        "\n".join(json.dumps(row, indent=2) for row in SHAPED),
        "".join(json.dumps(row) for row in SHAPED),
        "\n".join(json.dumps(json.dumps(row)) for row in SHAPED),
    ],
    ids=["array", "wrapped", "over several lines", "one after another", "text of JSON"],
)
def test_rows_of_json_are_read_in_every_shape(tmp_path, text):
    file = tmp_path / "rows.jsonl"
    file.write_text(text)
    assert list(read_rows(file)) == SHAPED


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": 1}]\n[{"a": 2}]',
        '{\n "items": [{"a": 1}]\n}\n{\n "items": [{"a": 2}]\n}',
    ],
)
def test_rows_behind_an_array_are_not_lost(tmp_path, text):
    file = tmp_path / "rows.jsonl"
    file.write_text(text)
    with pytest.raises(RequestError, match="goes on behind its array of rows"):
        list(read_rows(file))


def test_an_object_may_begin_with_more_than_a_brace(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"user": "q",\n "assistant": "a"}\n{"user": "r",\n "assistant": "b"}')
    assert [row["user"] for row in read_rows(file)] == ["q", "r"]


def test_columns_without_a_name_are_nobodys(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("user,assistant,,\nq,a,,\n")
    assert list(read_rows(file, ["user", "assistant"])) == [{"user": "q", "assistant": "a"}]


def test_a_row_a_line_may_hold_a_list_called_data(tmp_path):
    file = tmp_path / "rows.jsonl"
    rows = [{"id": number, "data": [{"x": number}]} for number in range(3)]
    file.write_text("\n".join(json.dumps(row) for row in rows))
    assert list(read_rows(file)) == rows


def test_columns_in_json_are_named_as_such(tmp_path):
    file = tmp_path / "rows.json"
    file.write_text(json.dumps({"user": ["q", "r"], "assistant": ["a", "b"]}))
    with pytest.raises(RequestError, match=r"holds columns \(user, assistant\), not rows"):
        read_columns(file)


def test_a_header_that_names_a_column_twice_is_refused(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("user,assistant,assistant\nq,a,b\n")
    with pytest.raises(RequestError, match="has the column 'assistant' twice"):
        list(read_rows(file))


def test_bytes_that_are_utf8_are_text(tmp_path):
    file = tmp_path / "rows.parquet"
    table = pa.table({"user": pa.array(["질문".encode()]), "raw": pa.array([b"\xff"])})
    pq.write_table(table, file)
    assert list(read_rows(file)) == [{"user": "질문", "raw": b"\xff"}]
