"""A model's own wrong replies as rejected answers: enough are asked for, and each is proven as any
other pair.
"""

import json
from random import Random

import pytest

from tasks.core.files.json_files import write_lines
from tasks.core.kinds import kind_named
from tasks.core.kinds.base import scene_from_dict
from tasks.core.settings.tree import Pairs, Settings
from tasks.core.steps import chain
from tasks.core.synthesis.pairs import build_pairs, wanted_rejects
from tasks.core.synthesis.proof import prove_file
from tasks.core.synthesis.rejects import collect_rejects, read_rejects, write_rejects
from tests.synthetic import read_lines

PAIRS = Pairs(rows=40, model_reject_share=0.25)


@pytest.fixture
def rows(made):
    return read_lines(made / "rows.jsonl")


def wrong(row, number):
    """A badly wrong reply with one flaw or more; every third is no JSON at all."""
    if number % 3 == 0:
        return f"I would rather hold cash. {number}"
    known, scene = kind_named(row["metadata"]["kind"]), scene_from_dict(row["metadata"]["scene"])
    reply, rng = row["messages"][2]["content"], Random(number)
    for how in ("strategy_violation", "hallucination"):
        reply = known.spoil(scene, json.loads(reply), how, rng)
    for _ in range(4):
        worse = known.spoil(scene, json.loads(reply), "quality_degradation", rng)
        if known.grade(scene, worse).score < known.grade(scene, reply).score:
            reply = worse
    return reply


def wrong_replies(rows):
    def ask(start, stop):
        return [wrong(rows[number], number) for number in range(start, stop)]

    return ask


def test_wrong_replies_become_pairs_that_are_proven(made, rows, tmp_path):
    wanted = wanted_rejects(PAIRS)
    assert wanted == {
        "strategy_violation": 3,
        "quality_degradation": 3,
        "schema_violation": 2,
        "hallucination": 2,
    }
    found, report = collect_rejects(rows, wanted, wrong_replies(rows))
    assert report["found"]["schema_violation"] == 2
    assert report["found"]["strategy_violation"] == 3
    write_rejects(tmp_path / "rejects.jsonl", found)
    assert read_rejects(tmp_path / "rejects.jsonl") == found

    report = build_pairs(made / "rows.jsonl", made / "tokenizer.json", PAIRS, tmp_path, found)
    assert report["model"] == len(found)
    assert report["flaw"] == {
        "strategy_violation": 12,
        "quality_degradation": 12,
        "schema_violation": 8,
        "hallucination": 8,
    }
    proof = prove_file(tmp_path / "pairs.jsonl")
    assert (proof.rows, proof.failures) == (40, [])


def test_right_nearly_right_and_cut_replies_are_none(rows):
    answers = [row["messages"][2]["content"] for row in rows]
    replies = [None, "", *answers[2:]]
    found, report = collect_rejects(
        rows, wanted_rejects(PAIRS), lambda start, stop: replies[start:stop]
    )
    assert found == []
    assert report["asked"] == 4 * 10
    assert report["replies"] == {"cut or empty": 2, "right or nearly": 38}


def test_a_reply_that_names_a_day_of_its_own_is_none(rows):
    """The day may be held out, and what evaluation asks about must be in no training data."""
    replies = [
        "On 2025-12-30 it was worse.",
        "2025년 12월 30일과 같다.",
        "I would rather hold cash.",
    ]
    found, report = collect_rejects(
        rows[:3], {"schema_violation": 3}, lambda start, stop: replies[start:stop]
    )
    assert [reject.row for reject in found] == [2]
    assert report["replies"] == {"of another day": 2, "wrong": 1}


def test_no_more_is_asked_than_needed(rows):
    asked = []

    def ask(start, stop):
        asked.append((start, stop))
        return wrong_replies(rows)(start, stop)

    collect_rejects(rows, {"schema_violation": 2}, ask)
    assert asked == [(0, 2), (2, 4)]
    assert collect_rejects(rows, {"schema_violation": 0}, ask)[1]["asked"] == 0


def with_several_flaws(pairs):
    """The first pair whose rejected answer shows several flaws, and its number, from 1."""
    for number, pair in enumerate(pairs, 1):
        if len(pair["metadata"].get("flaws", ())) > 1:
            return number, pair
    raise AssertionError("no model's reply shows several flaws")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda pair: pair["metadata"].update(flaws=["hallucination"]), "flaw"),
        (lambda pair: pair["metadata"].pop("flaws"), "flaw"),
        (lambda pair: pair["rejected"][0].update(content=pair["chosen"][0]["content"]), "rejected"),
    ],
)
def test_a_pair_that_lies_about_a_models_reply_is_found(made, rows, tmp_path, change, rule):
    found, _ = collect_rejects(rows, wanted_rejects(PAIRS), wrong_replies(rows))
    build_pairs(made / "rows.jsonl", made / "tokenizer.json", PAIRS, tmp_path, found)
    pairs = read_lines(tmp_path / "pairs.jsonl")
    number, pair = with_several_flaws(pairs)
    change(pair)
    write_lines(tmp_path / "pairs.jsonl", pairs)
    proof = prove_file(tmp_path / "pairs.jsonl")
    assert [(failure.row, failure.rule) for failure in proof.failures] == [(number, rule)]


def test_pairs_read_rejects_only_if_a_models_replies_are_wanted():
    assert set(chain(Settings())["pairs"].reads) == {"synthesize", "download"}
    asking = chain(Settings(pairs=PAIRS))
    assert set(asking["pairs"].reads) == {"synthesize", "download", "rejects"}
    built = set()
    for name, step in asking.items():
        assert step.reads.keys() <= built
        built.add(name)
