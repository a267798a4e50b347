"""Training and evaluation stay apart: what of one is planted in the other is found, and the future
changes no row.
"""

from dataclasses import replace
from random import Random

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tasks.core.errors import WorkError
from tasks.core.evaluation.questions import build_questions
from tasks.core.files.json_files import write_lines
from tasks.core.kinds import kind_named
from tasks.core.kinds.base import scene_from_dict
from tasks.core.kinds.texts import to_text
from tasks.core.market.artifact import build_market
from tasks.core.market.demo import ensure_demo_market
from tasks.core.market.partitions import market_files
from tasks.core.records.market_days import read_snapshots
from tasks.core.settings.tree import Evaluation, Market, Pairs
from tasks.core.strategy.rules import NUMBERS
from tasks.core.synthesis.guard import RULES, prove_apart, prove_of_days
from tasks.core.synthesis.pairs import build_pairs
from tests.synthetic import demo_market, read_lines, synthetic_rows


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with the market, rows, pairs and questions of one run."""
    folder = tmp_path_factory.mktemp("run")
    market = demo_market(folder)
    synthetic_rows(market / "train", folder / "out", rows=120)
    build_pairs(
        folder / "out" / "rows.jsonl",
        folder / "out" / "tokenizer.json",
        Pairs(rows=60),
        folder / "out",
    )
    build_questions(market / "holdout", Evaluation(questions=60), folder / "out")
    return folder


def proven(run, *training):
    out = run / "out"
    holdout = run / "market" / "holdout"
    return prove_apart(holdout, out / "questions.jsonl", training or (out / "rows.jsonl",))


def questions(run):
    return read_lines(run / "out" / "questions.jsonl")


def first_question(run, kind, language=None):
    """The evaluation's first question of a kind, and of a language if one is given."""
    for question in questions(run):
        if question["kind"] == kind and language in (None, question["language"]):
            return question
    raise AssertionError(f"no {kind} question in {language}")


def planted(run, tmp_path, question=None, **more):
    """The rows with one changed: its question, or other keys."""
    rows = read_lines(run / "out" / "rows.jsonl")
    if question is not None:
        rows[7]["messages"][1]["content"] = question
    rows[7] |= more
    file = tmp_path / "rows.jsonl"
    write_lines(file, rows)
    return file


def test_what_a_run_makes_is_apart_and_counted(run):
    out = run / "out"
    found = proven(run, out / "rows.jsonl", out / "pairs.jsonl")
    assert (found["rows"], found["pairs"], found["questions"]) == (120, 60, 60)
    assert found["held_out_days"] == len(read_snapshots(run / "market" / "holdout"))
    assert {name: found[f"rows_with_{name}"] for name in RULES} == dict.fromkeys(RULES, 0)


def test_an_evaluations_question_among_the_rows_is_found(run, tmp_path):
    file = planted(run, tmp_path, questions(run)[0]["messages"][1]["content"])
    with pytest.raises(
        WorkError, match=r"1 asks a question of the evaluation \(rows.jsonl, line 8\)"
    ):
        proven(run, file)


def test_a_question_with_a_number_changed_is_a_near_duplicate(run, tmp_path):
    question = first_question(run, "full_analysis")
    text = question["messages"][1]["content"]
    first, rest = text.rsplit("1", 1)
    with pytest.raises(WorkError, match="1 asks nearly a question of the evaluation"):
        proven(run, planted(run, tmp_path, f"{first}2{rest}"))


def test_a_held_out_template_is_found_in_other_words_numbers_and_layout(run, tmp_path):
    row = read_lines(run / "out" / "rows.jsonl")[7]
    scene = scene_from_dict(row["metadata"]["scene"])
    asked = first_question(run, scene.kind, scene.language)
    held = replace(scene, template=asked["scene"]["template"], layout="table")
    with pytest.raises(
        WorkError, match=r"rows, 1 is worded as a question of the evaluation \(rows.jsonl, line 8\)"
    ):
        proven(run, planted(run, tmp_path, kind_named(scene.kind).ask(held, Random(1))))


def test_a_held_out_days_numbers_without_its_date_are_found(run, tmp_path):
    rows = read_lines(run / "out" / "rows.jsonl")
    day = read_snapshots(run / "market" / "holdout")[5]
    scene = scene_from_dict(rows[7]["metadata"]["scene"])
    market = {name: getattr(day, name) for name in NUMBERS}
    copied = replace(scene, facts=replace(scene.facts, numbers={**scene.facts.numbers, **market}))
    with pytest.raises(WorkError, match="1 says a held-out day's four numbers"):
        proven(run, planted(run, tmp_path, kind_named(scene.kind).ask(copied, Random(1))))


@pytest.mark.parametrize(
    "form", ["{y}-{m}-{d}", "{y}.{m}.{d}", "{y}{m}{d}", "{y}년 {m}월 {d}일", "{month} {d}, {y}"]
)
def test_a_held_out_day_is_found_however_it_is_written(run, tmp_path, form):
    y, m, d = read_snapshots(run / "market" / "holdout")[3].date.split("-")
    month = {"10": "October", "11": "Nov.", "12": "December"}[m]
    told = form.format(y=y, m=m, d=d, month=month)
    with pytest.raises(WorkError, match="1 names a held-out day"):
        proven(run, planted(run, tmp_path, note=f"as seen on {told}, the market"))


def test_a_row_of_a_day_that_training_does_not_have_is_not_published(run):
    rows = read_lines(run / "out" / "rows.jsonl")
    days = read_snapshots(run / "market" / "train")
    prove_of_days(rows, days)
    dates = [row["metadata"]["date"] for row in rows]
    date = next(date for date in dates if date)
    number = dates.index(date) + 1
    without = [day for day in days if day.date != date]
    with pytest.raises(WorkError, match=rf"row {number} names {date}, which is no training day"):
        prove_of_days(rows, without)
    moved = [replace(day, return_pct=day.return_pct + 0.01) for day in days]
    with pytest.raises(WorkError, match=rf"row {number} says return_pct .* of {date}"):
        prove_of_days(rows, moved)


def test_every_real_row_says_its_days_numbers_and_every_simulated_one_says_so(run):
    days = {day.date: day for day in read_snapshots(run / "market" / "train")}
    for row in read_lines(run / "out" / "rows.jsonl"):
        metadata, facts = row["metadata"], scene_from_dict(row["metadata"]["scene"]).facts
        simulated, stated = set(metadata["simulated"]), {*facts.numbers}
        stated |= {name for line in facts.stocks for name in line.numbers}
        assert simulated <= stated | {*facts.words}
        market = set(NUMBERS) & set(facts.numbers)
        assert market & simulated == (set() if metadata["day"] else market)
        if metadata["day"]:
            for name in market:
                assert facts.numbers[name] == getattr(days[metadata["day"]], name)
        # The demo market holds no macro.parquet.
        assert stated - simulated <= market | {"per", "pbr", "beta"}
        told = {name for line in facts.stocks for name in (*line.numbers, *line.words)}
        assert set(metadata["origins"]) == {"beta", "tier", "us_correlation"} & told
        assert set(metadata["origins"].values()) <= {"measured", "table", "measured and table"}


def shifted(file, after):
    """Another future: every price, cap and ratio after a day is another."""
    table, rng = parquet.read_table(file), Random(str(file.parent))
    rows = table.to_pylist()
    for row in rows:
        if str(row["date"]) > after:
            for name in ("open", "high", "low", "close", "market_cap", "pe_ratio", "pb_ratio"):
                if row.get(name) is not None:
                    row[name] = type(row[name])(row[name] * rng.uniform(0.5, 1.5))
    parquet.write_table(pa.Table.from_pylist(rows, table.schema), file)


def files_of(folder, after=None):
    """What a run makes of the demo market, or of one with another future; and its last training
    day.
    """
    ensure_demo_market(folder / "daily")
    for file in market_files(folder / "daily") if after else ():
        shifted(file, after)
    (folder / "market").mkdir()
    build_market(folder / "daily", Market(), folder / "market")
    synthetic_rows(folder / "market" / "train", folder / "out", rows=60)
    build_pairs(
        folder / "out" / "rows.jsonl",
        folder / "out" / "tokenizer.json",
        Pairs(rows=24),
        folder / "out",
    )
    build_questions(folder / "market" / "holdout", Evaluation(questions=12), folder / "out")
    names = ("rows.jsonl", "pairs.jsonl", "questions.jsonl")
    last_day = read_snapshots(folder / "market" / "train")[-1].date
    return [(folder / "out" / name).read_bytes() for name in names], last_day


def test_another_future_changes_the_questions_and_no_training_row(tmp_path):
    (rows, pairs, asked), last = files_of(tmp_path / "one")
    (same_rows, same_pairs, others), same_last = files_of(tmp_path / "other", after=last)
    assert asked != others
    assert (rows, pairs, last) == (same_rows, same_pairs, same_last)


def test_an_evaluations_answers_are_true_of_their_own_questions(run):
    """What the guard compares with is what is asked: a question's scene is what its text says."""
    for question in questions(run):
        scene, kind = scene_from_dict(question["scene"]), kind_named(question["kind"])
        assert to_text(kind.answer(scene, Random(scene.seed))) == question["reference"]
        assert kind.ask(scene, Random(scene.seed)) == question["messages"][1]["content"]
