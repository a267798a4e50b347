"""Normalize: every row is taken, left over or dropped for a named reason, and one share moves no
other source.
"""

import csv
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.core.data import scratch, shuffle
from tasks.core.data.normalize import allocate_rows, normalize
from tasks.core.data.sources import SOURCES
from tasks.core.errors import RequestError
from tasks.core.settings.data import Data

STRATEGY = "You are the strategy analyst."
SENTIMENT = Path(__file__).parents[3] / "shared/data/sentiment/fingpt_format.jsonl"


def only(name, rows=1_000, **more):
    """Settings that take everything from one source."""
    shares = {f"{source.name}_share": float(source.name == name) for source in SOURCES}
    return Data(rows=rows, **shares, **more)


def write_lines(folder, name, rows):
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=True) + "\n" for row in rows)
    (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


def run(sources, data, out):
    metrics = normalize(sources, STRATEGY, data, out, lambda share, text: None)
    rows = pq.read_table(out / "rows.parquet").to_pylist()
    return rows, json.loads((out / "report.json").read_text(encoding="utf-8")), metrics


def chats(rows):
    return [{message["role"]: message["content"] for message in row["messages"]} for row in rows]


def five_sources(folder, rows=60):
    write_lines(
        folder,
        "finance_instruct",
        [{"system": "s", "user": f"q{n}", "assistant": f"a{n}"} for n in range(rows)],
    )
    write_lines(
        folder,
        "sujet_finance",
        [{"system_prompt": "s", "user_prompt": f"q{n}", "answer": f"a{n}"} for n in range(rows)],
    )
    write_lines(
        folder,
        "krx_won",
        [{"prompt": f"질문 {n}", "original_response": f"답 {n}"} for n in range(rows)],
    )
    for name in ("trading_signals", "fin_sentiment"):
        write_lines(
            folder,
            name,
            [{"instruction": "i", "input": f"x{n}", "output": "o"} for n in range(rows)],
        )
    return folder


def test_each_shape_becomes_system_user_assistant(tmp_path):
    rows, report, _ = run(
        five_sources(tmp_path / "in", 1), Data(rows=5, **dict.fromkeys(SHARES, 0.2)), tmp_path
    )
    found = dict(zip((row["source"] for row in rows), chats(rows), strict=True))
    assert found["finance_instruct"] == {"system": "s", "user": "q0", "assistant": "a0"}
    assert found["sujet_finance"] == {"system": "s", "user": "q0", "assistant": "a0"}
    assert found["krx_won"]["user"] == "질문 0" and "애널리스트" in found["krx_won"]["system"]
    assert (
        found["trading_signals"]["user"] == "i\n\nx0"
        and "trading analyst" in found["trading_signals"]["system"]
    )
    assert (
        found["fin_sentiment"]["assistant"] == "o"
        and "sentiment" in found["fin_sentiment"]["system"]
    )
    assert [message["role"] for message in rows[0]["messages"]] == ["system", "user", "assistant"]
    assert report["rows_in"] == 5 and report["languages"] == {"en": 4, "ko": 1}


SHARES = tuple(f"{source.name}_share" for source in SOURCES)


@pytest.mark.parametrize("system", [None, "", " \n", "\n"])
def test_a_blank_system_becomes_the_strategy_prompt(tmp_path, system):
    folder = write_lines(
        tmp_path / "in", "finance_instruct", [{"system": system, "user": "q", "assistant": "a"}]
    )
    rows, report, _ = run(folder, only("finance_instruct"), tmp_path)
    assert chats(rows) == [{"system": STRATEGY, "user": "q", "assistant": "a"}]
    assert report["sources"]["finance_instruct"]["unprompted"] == 1


def test_sujet_asks_with_inputs_where_user_prompt_is_blank_and_ignores_an_index_column(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    with (folder / "sujet_finance.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["Unnamed: 0", "inputs", "answer", "system_prompt", "user_prompt"])
        writer.writerow([0, "line one\nline two", "a, with a comma", "s", "\n"])
        writer.writerow([1, "unused", 'a "quoted" one', "s", "q"])
    rows, _, _ = run(folder, only("sujet_finance"), tmp_path)
    assert sorted((chat["user"], chat["assistant"]) for chat in chats(rows)) == [
        ("line one\nline two", "a, with a comma"),
        ("q", 'a "quoted" one'),
    ]


DIRT = [
    ({"assistant": None}, "null in assistant"),
    ({"assistant": ""}, "blank in assistant"),
    ({"user": "\n\n"}, "blank in user"),
    ({"user": 12}, "not text in user"),
    ({"assistant": ["a"]}, "not text in assistant"),
    ({"assistant": "a\0b"}, "NUL byte in assistant"),
    ({"user": "\ud83d"}, "half a character in user"),
    ({"system": 3.5}, "not text in system"),
    ({}, "duplicate"),
]


@pytest.mark.parametrize(("change", "reason"), DIRT)
def test_a_dirty_row_is_dropped_for_its_reason(tmp_path, change, reason):
    good = {"system": "s", "user": "q", "assistant": "a"}
    rows, report, _ = run(
        write_lines(tmp_path / "in", "finance_instruct", [good, {**good, **change}]),
        only("finance_instruct"),
        tmp_path,
    )
    assert len(rows) == 1
    assert report["sources"]["finance_instruct"]["dropped"] == {reason: 1}
    assert f"| finance_instruct | {reason} | 1 |" in (tmp_path / "report.md").read_text(
        encoding="utf-8"
    )


def test_rows_that_are_no_rows_are_counted_too(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "krx_won.csv").write_text(
        "prompt,original_response\nq,a\nq2,a,b\n\n", encoding="utf-8"
    )
    assert run(folder, only("krx_won"), tmp_path)[1]["dropped"] == {"wrong number of fields": 1}
    (folder / "krx_won.csv").unlink()
    (folder / "krx_won.jsonl").write_text(
        '{"prompt": "q", "original_response": "a"}\n[1]\n', encoding="utf-8"
    )
    assert run(folder, only("krx_won"), tmp_path)[1]["dropped"] == {"not an object": 1}


def test_mojibake_is_undone_and_honest_text_is_left_alone(tmp_path):
    honest = "Ångström café – “quoted”, naïve, £5, RÉSUMÉ–2"
    rows = [
        {"prompt": "삼성전자".encode().decode("latin-1"), "original_response": "a"},
        {"prompt": "It’s up".encode().decode("cp1252"), "original_response": "b"},
        {"prompt": honest, "original_response": "c"},
    ]
    rows.append({"prompt": "pays €10".encode("cp1252").decode("latin-1"), "original_response": "d"})
    rows.append({"prompt": "\xa0ahead".encode().decode("latin-1"), "original_response": "e"})
    taken, report, _ = run(write_lines(tmp_path / "in", "krx_won", rows), only("krx_won"), tmp_path)
    asked = {chat["assistant"]: chat["user"] for chat in chats(taken)}
    assert asked == {"a": "삼성전자", "b": "It’s up", "c": honest, "d": "pays €10", "e": "ahead"}
    assert report["sources"]["krx_won"]["repaired"] == 4


def test_counts_add_up_and_the_shares_are_exact(tmp_path):
    folder = five_sources(tmp_path / "in")
    write_lines(
        folder, "krx_won", [{"prompt": f"q{n % 50}", "original_response": "a"} for n in range(60)]
    )
    rows, report, metrics = run(folder, Data(rows=100), tmp_path)
    assert Counter(row["source"] for row in rows) == {
        "finance_instruct": 40,
        "sujet_finance": 25,
        "krx_won": 20,
        "trading_signals": 10,
        "fin_sentiment": 5,
    }
    for entry in report["sources"].values():
        assert (
            entry["rows_in"]
            == 60
            == entry["taken"] + entry["left_over"] + sum(entry["dropped"].values())
        )
    assert (
        metrics["rows_in"] == 300
        and metrics["dropped"] == {"duplicate": 10}
        and metrics["shortfall"] == 0
    )
    assert (
        report["rows"] + report["left_over"] + 10 == 300
        and sum(report["languages"].values()) == 100
    )
    assert {file.name for file in tmp_path.iterdir()} == {"in", "rows.parquet", *REPORTS}


REPORTS = ("report.json", "report.md", "report.html", "counts.png", "lengths.png")


def test_many_rows_are_dealt_over_the_disk_and_come_back_in_their_order(tmp_path, monkeypatch):
    folder = five_sources(tmp_path / "in")
    whole, _, _ = run(folder, Data(rows=100), tmp_path / "whole")
    monkeypatch.setattr(shuffle, "_GROUP_ROWS", 7)
    monkeypatch.setattr(shuffle, "_MOST_FILES", 4)
    monkeypatch.setattr(scratch, "_BATCH_CHARS", 100)
    dealt, _, _ = run(folder, Data(rows=100), tmp_path / "dealt")
    assert dealt == whole and pq.read_metadata(tmp_path / "dealt/rows.parquet").num_row_groups == 15


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_rows(tmp_path):
    folder = five_sources(tmp_path / "in")
    for name, seed in (("a", 42), ("b", 42), ("c", 43)):
        run(folder, Data(rows=100, seed=seed), tmp_path / name)
    first, second, other = ((tmp_path / name / "rows.parquet").read_bytes() for name in "abc")
    assert first == second != other
    assert (tmp_path / "a/report.json").read_bytes() == (tmp_path / "b/report.json").read_bytes()


def test_a_share_moves_only_its_own_source(tmp_path):
    folder = five_sources(tmp_path / "in")
    before, _, _ = run(folder, Data(rows=100), tmp_path / "a")
    after, _, _ = run(
        folder,
        Data(rows=100, finance_instruct_share=0.35, sujet_finance_share=0.30),
        tmp_path / "b",
    )
    for name in ("krx_won", "trading_signals", "fin_sentiment"):
        assert [row for row in before if row["source"] == name] == [
            row for row in after if row["source"] == name
        ]
    grown = [row for row in after if row["source"] == "sujet_finance"]
    assert [row for row in before if row["source"] == "sujet_finance"] == [
        row for row in grown if row in before
    ]
    assert Counter(row["source"] for row in after)["finance_instruct"] == 35


def test_a_short_source_is_reported_and_topped_up_only_if_asked(tmp_path):
    folder = five_sources(tmp_path / "in")
    write_lines(folder, "finance_instruct", [{"system": "s", "user": "q", "assistant": "a"}])
    rows, report, _ = run(folder, Data(rows=100), tmp_path / "plain")
    assert len(rows) == 61 and report["shortfall"] == 39
    assert report["sources"]["finance_instruct"]["shortfall"] == 39
    assert "39 short" in (tmp_path / "plain/report.md").read_text(encoding="utf-8")
    rows, report, _ = run(folder, Data(rows=100, top_up=True), tmp_path / "full")
    assert len(rows) == 100 and report["shortfall"] == 0
    assert sum(entry["topped_up"] for entry in report["sources"].values()) == 39


def test_a_source_without_a_usable_row_is_a_reported_shortfall(tmp_path):
    folder = five_sources(tmp_path / "in")
    write_lines(folder, "krx_won", [{"prompt": "q", "original_response": "\n"}])
    (folder / "sujet_finance.jsonl").unlink()
    (folder / "sujet_finance.csv").write_text(
        "system_prompt,user_prompt,answer\n", encoding="utf-8"
    )
    rows, report, _ = run(folder, Data(rows=100), tmp_path)
    assert len(rows) == 55 and report["shortfall"] == 45
    assert [report["sources"][name]["shortfall"] for name in ("krx_won", "sujet_finance")] == [
        20,
        25,
    ]
    assert report["sources"]["krx_won"]["dropped"] == {"blank in original_response": 1}
    assert report["sources"]["sujet_finance"]["rows_in"] == 0


def test_top_up_spends_what_is_there_and_no_more():
    assert allocate_rows({"a": 50, "b": 30, "c": 20}, {"a": 10, "b": 35, "c": 100}, True) == {
        "a": 10,
        "b": 35,
        "c": 55,
    }
    assert allocate_rows({"a": 50, "b": 50}, {"a": 3, "b": 51}, True) == {"a": 3, "b": 51}


def test_a_source_in_several_parts_and_formats_is_read_in_order(tmp_path):
    rows = [{"prompt": f"q{n}", "original_response": f"a{n}"} for n in range(6)]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    write_lines(whole, "krx_won", rows)
    parts.mkdir()
    for number, part in enumerate((rows[:2], rows[2:])):
        pq.write_table(pa.Table.from_pylist(part), parts / f"krx_won.{number:05}.parquet")
    run(whole, only("krx_won", 4), tmp_path / "a")
    run(parts, only("krx_won", 4), tmp_path / "b")
    assert (tmp_path / "a/rows.parquet").read_bytes() == (tmp_path / "b/rows.parquet").read_bytes()


def test_shares_must_sum_to_one(tmp_path):
    with pytest.raises(
        RequestError, match=r"sum to 1\.1, not to 1: data\.finance_instruct_share=0\.5"
    ):
        run(five_sources(tmp_path / "in"), Data(finance_instruct_share=0.5), tmp_path)


def test_a_source_without_a_file_says_what_to_do(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(RequestError, match=r"holds no krx_won\.\* file.*data\.krx_won_share=0"):
        run(tmp_path / "in", only("krx_won"), tmp_path)


def test_no_usable_row_at_all_is_refused(tmp_path):
    folder = write_lines(
        tmp_path / "in", "krx_won", [{"prompt": "q", "original_response": None}] * 3
    )
    with pytest.raises(RequestError, match="krx_won: 3 read, 3 null in original_response"):
        run(folder, only("krx_won"), tmp_path)


@pytest.mark.skipif(not SENTIMENT.exists(), reason="needs ../shared/data/sentiment")
def test_real_sentiment_rows(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "fin_sentiment.jsonl").symlink_to(SENTIMENT)
    rows, report, _ = run(folder, only("fin_sentiment", 5_000), tmp_path)
    assert report["rows_in"] == 7_882 and len(rows) == 5_000
    assert report["dropped"]["duplicate"] > 0
    assert {chat["assistant"] for chat in chats(rows)} >= {"negative", "neutral", "positive"}
    assert report["rows_in"] == report["sources"]["fin_sentiment"]["usable"] + sum(
        report["dropped"].values()
    )


def test_a_share_of_the_rows_is_kept_from_training(tmp_path):
    folder = tmp_path / "sources"
    write_lines(folder, "own", [{"user": f"q{n}", "assistant": f"a{n}"} for n in range(15)])
    data = Data(rows=15, own=str(folder / "own.jsonl"), own_share=1)
    whole, _, _ = run(folder, data, tmp_path / "whole")
    assert not (tmp_path / "whole/test.parquet").exists()
    held = data.model_copy(update={"test_share": 0.1})
    trained, report, _ = run(folder, held, tmp_path / "held")
    tested = pq.read_table(tmp_path / "held/test.parquet").to_pylist()
    assert (len(tested), len(trained), report["rows"]) == (2, 13, 15)
    assert tested + trained == whole  # the same draw, cut in two
    for share, left in ((0.01, "no row to test"), (0.99, "no row to train on")):
        with pytest.raises(RequestError, match=rf"data\.test_share={share:g} of 15 rows.*{left}"):
            odd = data.model_copy(update={"test_share": share})
            run(folder, odd, tmp_path / f"odd-{share}")
