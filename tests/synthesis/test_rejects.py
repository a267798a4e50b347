"""A model's own wrong replies as rejected answers: enough are asked for, and each is proven as any
other pair.
"""

import json
from random import Random

import pytest

from tasks.core.chain.steps import chain
from tasks.core.errors import RequestError
from tasks.core.kinds import kind_named
from tasks.core.kinds.base import FLAWS, scene_from_dict
from tasks.core.settings.tree import Pairs, Settings, Stages
from tasks.core.synthesis.pairs import build_pairs, wanted_rejects
from tasks.core.synthesis.proof import prove_file
from tasks.core.synthesis.rejects import collect_rejects, read_rejects, write_rejects

PAIRS = Pairs(rows=40, model_reject_share=0.25)


@pytest.fixture
def rows(made):
    return [
        json.loads(line) for line in (made / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    ]


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
        reply = (
            worse if known.grade(scene, worse).score < known.grade(scene, reply).score else reply
        )
    return reply


def wrong_replies(rows):
    return lambda start, stop: [wrong(rows[place], place) for place in range(start, stop)]


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

    told = build_pairs(made / "rows.jsonl", PAIRS, tmp_path, found)
    assert told["model"] == len(found)
    assert told["flaw"] == {
        flaw: {"strategy_violation": 12, "quality_degradation": 12}.get(flaw, 8) for flaw in FLAWS
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
    build_pairs(made / "rows.jsonl", PAIRS, tmp_path, found)
    pairs = [
        json.loads(line)
        for line in (tmp_path / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    place = next(
        place for place, pair in enumerate(pairs) if len(pair["metadata"].get("flaws", ())) > 1
    )
    change(pairs[place])
    (tmp_path / "pairs.jsonl").write_text(
        "".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8"
    )
    proof = prove_file(tmp_path / "pairs.jsonl")
    assert [(failure.row, failure.rule) for failure in proof.failures] == [(place + 1, rule)]


def test_pairs_wait_for_stage2_only_where_its_replies_are_wanted():
    plain, asking = chain(Settings()), chain(Settings(pairs=PAIRS))
    assert "rejects" not in plain
    names = list(asking)
    assert (
        names.index("stage2")
        < names.index("rejects")
        < names.index("pairs")
        < names.index("stage3")
    )
    assert set(asking["pairs"].reads) == {"synthesize", "rejects"}
    for name, step in asking.items():
        assert all(names.index(other) < names.index(name) for other in step.reads)


def test_a_chain_without_stage2_cannot_ask_it():
    with pytest.raises(
        RequestError, match=r"model_reject_share=0\.25 asks the Stage 2 model.*let stage2 run"
    ):
        chain(Settings(pairs=PAIRS, stages=Stages(skip=["stage2"])))
