"""The grader against replies that a strict and fair reader has judged: replies.yaml, and the cases
of ../shared/cases/grader where that folder is.
"""

import json
from pathlib import Path
from random import Random

import pytest
import yaml

from tasks.core.kinds import kind_named
from tasks.core.kinds.base import Scene
from tasks.core.kinds.texts import to_text
from tasks.core.records.facts import Facts, StockFacts

FIXTURE = yaml.safe_load(Path(__file__).with_name("replies.yaml").read_text(encoding="utf-8"))


def _in_full(row):
    kind, scene, language, path, text, part = row
    reply = {"kind": kind, "scene": scene, "language": language, "told": {path: text}}
    return reply if part == "ok" else {**reply, "fails": part}


REPLIES = [*FIXTURE["replies"], *map(_in_full, FIXTURE["more"])]


def scene_of(reply):
    asked = FIXTURE["scenes"][reply["scene"]]
    stocks = [_stock(ticker, said) for ticker, said in asked.get("stocks", {}).items()]
    facts = Facts(asked["numbers"], tuple(stocks), asked.get("words", {}))
    return Scene(reply["kind"], reply["language"], 0, "bullets", "2024-05-02", facts, seed=5)


def _stock(ticker, said):
    numbers = {name: value for name, value in said.items() if not isinstance(value, str)}
    words = {name: value for name, value in said.items() if isinstance(value, str)}
    return StockFacts(ticker, numbers, words)


def put(answer, path, value):
    """Puts a value where a path of keys leads; a ticker leads to its entry of a list."""
    *way, last = path.split(".")
    for key in way:
        if isinstance(answer, list):
            answer = next(entry for entry in answer if entry["ticker"] == key)
        else:
            answer = answer[key]
    assert last in answer
    answer[last] = value


def graded(reply):
    kind, scene = kind_named(reply["kind"]), scene_of(reply)
    answer = json.loads(to_text(kind.answer(scene, Random(1))))
    for path, value in reply["told"].items():
        put(answer, path, value)
    return kind.grade(scene, to_text(answer))


def name_of(reply):
    return f"{reply['kind']}-{reply['language']}-{next(iter(reply['told'].values()))!s:.30}"


@pytest.mark.parametrize("reply", REPLIES, ids=name_of)
def test_a_reply_is_judged_as_a_strict_and_fair_reader_would(reply):
    grade = graded(reply)
    failed = {part for part, passed in grade.parts.items() if not passed}
    if "fails" in reply:
        assert reply["fails"] in failed
    else:
        assert not failed


def test_the_replies_are_of_every_kind_and_of_both_verdicts():
    told = {(reply["kind"], "fails" in reply) for reply in REPLIES}
    kinds = {kind for kind, _ in told}
    assert told == {(kind, wrong) for kind in kinds for wrong in (False, True)}
    assert {reply["language"] for reply in REPLIES} == {"ko", "en"}


def test_a_text_that_copies_its_question_says_nothing():
    for reply in REPLIES:
        kind, scene = kind_named(reply["kind"]), scene_of(reply)
        answer = json.loads(to_text(kind.answer(scene, Random(1))))
        path = next(iter(reply["told"]))
        if not path.endswith("reasoning"):
            continue
        question = kind.ask(scene, Random(scene.seed)).replace("\n", " ")
        put(answer, path, question[:200])
        assert not kind.grade(scene, to_text(answer)).parts["argued"]
