"""`kospilot data check`: true files pass, each lie is named with its row, and what is no such file
is refused.
"""

import json
import sys
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.cli import main
from tasks.core.files.json_files import write_lines
from tasks.core.synthesis.proof import prove_file
from tests.synthetic import read_lines

SUM = [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}]


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs the real command: (exit code, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["kospilot", "data", "check", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        told = capsys.readouterr()
        return stopped.value.code, told.out, " ".join(told.err.split())

    return run


def write(file, rows):
    write_lines(file, rows)
    return file


@pytest.mark.parametrize(("name", "rows"), [("rows", 96), ("pairs/pairs", 40), ("questions", 24)])
def test_what_kospilot_made_is_true(made, command, name, rows):
    code, out, _ = command(made / f"{name}.jsonl", "--json")
    assert code == 0
    assert json.loads(out) == {"rows": rows, "failed": 0, "failures": [], "by_rule": {}}


def test_parquet_is_read_too(made, command, tmp_path):
    rows = [{"messages": row["messages"]} for row in read_lines(made / "rows.jsonl")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    code, _, err = command(tmp_path / "rows.parquet")
    assert (code, err) == (0, "All 96 rows are true.")


def of_kind(rows, name):
    return next(place for place, row in enumerate(rows) if row["metadata"]["kind"] == name)


def retold(rows, place, change):
    """The rows with one answer changed."""
    rows = json.loads(json.dumps(rows))
    answer = json.loads(rows[place]["messages"][2]["content"])
    change(answer)
    rows[place]["messages"][2]["content"] = json.dumps(answer, ensure_ascii=False)
    return rows


@pytest.mark.parametrize(
    ("kind", "rule", "change"),
    [
        (
            "regime_classification",
            "decision",
            lambda told: told.update(recommended_net_exposure_pct=-33),
        ),
        ("regime_classification", "schema", lambda told: told.pop("confidence_pct")),
        (
            "regime_classification",
            "grounded",
            lambda told: told.update(reasoning=told["reasoning"] + " 777.7%."),
        ),
        (
            "full_analysis",
            "regime",
            lambda told: told.update(regime="BEAR" if told["regime"] != "BEAR" else "WEAKENING"),
        ),
        (
            "stop_loss_management",
            "tickers",
            lambda told: told["position_review"][0].update(ticker="990001"),
        ),
        (
            "stop_loss_management",
            "names",
            lambda told: told["position_review"][0].update(name="Nobody"),
        ),
    ],
)
def test_a_lie_is_named_with_its_row_and_rule(made, command, tmp_path, kind, rule, change):
    rows = read_lines(made / "rows.jsonl")
    place = of_kind(rows, kind)
    file = write(tmp_path / "rows.jsonl", retold(rows, place, change))
    code, out, _ = command(file, "--json")
    told = json.loads(out)
    assert code == 1
    assert (told["rows"], told["failed"]) == (96, 1)
    assert {failure["row"] for failure in told["failures"]} == {place + 1}
    assert rule in {failure["rule"] for failure in told["failures"]}
    assert sum(told["by_rule"].values()) == len(told["failures"])
    assert all(failure["detail"] for failure in told["failures"])


def test_a_rejected_answer_that_is_right_is_no_pair(made, command, tmp_path):
    pairs = read_lines(made / "pairs" / "pairs.jsonl")
    pairs[7]["rejected"][0]["content"] = pairs[7]["chosen"][0]["content"]
    code, out, err = command(write(tmp_path / "pairs.jsonl", pairs))
    assert code == 1
    assert "its rejected answer is right" in out
    assert "1 of 40 rows are not true" in err


@pytest.mark.parametrize(
    "broken",
    [
        {"messages": "no list"},
        {"messages": [{"role": "user"}]},
        {"prompt": [], "chosen": []},
        {"text": "something else"},
        {"messages": [{"role": "system", "content": "S"}], "metadata": {"kind": ["a list"]}},
        {"messages": [{"role": "system", "content": "S"}], "metadata": {"simulated": None}},
    ],
)
def test_a_row_of_another_form_fails_and_the_others_are_still_judged(made, tmp_path, broken):
    true = read_lines(made / "rows.jsonl")[:3]
    proof = prove_file(write(tmp_path / "rows.jsonl", [*true, broken]))
    assert (proof.rows, proof.failed, dict(proof.by_rule)) == (4, 1, {"form": 1})
    assert proof.failures[0].row == 4


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ('{"messages": []}\n{"messages": [}\n', "line 2 is not JSON"),
        ("[1, 2]\n", "line 1 is not a JSON object"),
        ("[" * 100_000 + "\n", "line 1 is not JSON"),
        (json.dumps({"messages": SUM}) + "\n", "holds no strategy rows"),
    ],
)
def test_what_is_no_such_file_is_refused(command, tmp_path, content, told):
    file = tmp_path / "some.jsonl"
    file.write_text(content, encoding="utf-8")
    code, out, err = command(file, "--json")
    assert (code, out) == (2, "")
    assert str(file) in err.replace(" ", "")
    assert told in err
    assert "Traceback" not in err


def test_a_file_that_is_not_there_a_folder_and_a_false_parquet_are_refused(command, tmp_path):
    (tmp_path / "no.parquet").write_bytes(b"PAR1 not really")
    for file, told in (
        ("gone.jsonl", "There is no file"),
        ("", "is a folder"),
        ("no.parquet", "not a parquet file"),
    ):
        code, out, err = command(tmp_path / file)
        assert (code, out) == (2, "")
        assert told in err


def test_the_terminal_shows_brackets_as_they_stand(made, command, tmp_path):
    rows = retold(read_lines(made / "rows.jsonl"), 0, lambda told: told.clear())
    rows[0]["messages"][2]["content"] = rows[0]["messages"][2]["content"].replace(
        "{}", '{"[/bold]": []}'
    )
    rows[0]["metadata"]["regime"] = "[/bold]"
    code, out, _ = command(write(tmp_path / "rows.jsonl", rows))
    assert code == 1
    assert "[/bold]" in out


def test_a_big_file_needs_the_memory_of_a_small_one(made, tmp_path):
    rows = read_lines(made / "rows.jsonl")
    peaks = []
    for times in (1, 4):
        file = write(tmp_path / f"{times}.jsonl", rows * times)
        tracemalloc.start()
        prove_file(file)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + file.stat().st_size / 2
