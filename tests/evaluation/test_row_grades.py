"""Replies to rows that call tools, and to rows that answer in words: twenty counted by hand."""

import json
from dataclasses import replace

import pytest

from tasks.core.chat.tool_text import ToolCall, with_tools, write_calls
from tasks.core.evaluation.evaluated import Evaluated, read_marks, write_marks
from tasks.core.evaluation.page import About, write_page
from tasks.core.evaluation.promotion import Rival, decide
from tasks.core.evaluation.records import Question, Reply
from tasks.core.evaluation.report import write_report
from tasks.core.evaluation.row_grades import (
    CALLED_RIGHTLY,
    EXACT,
    INVENTED,
    PARAMETERS,
    ROUGE,
    TOOL_NAMES,
    VALID_CALLS,
    parameter_share,
)
from tasks.core.evaluation.score import judge, judge_all, score

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "node",
            "parameters": {
                "type": "object",
                "properties": {"id": {"type": "integer"}, "at": {"type": "array"}},
                "required": ["id"],
                "additionalProperties": False,
            },
        },
    },
    {"type": "function", "function": {"name": "run", "description": "Runs the analysis"}},
]


def question(answer, language="ko", tools=TOOLS):
    system = with_tools("S", tools) if tools else "S"
    messages = [
        {"role": "system", "content": system},
        {"role": "user", "content": "절점 1번을 (1, 2)에"},
    ]
    kind = "tool_calls" if "<tool_call>" in answer else "text"
    return Question("row-0001-2", kind, language, None, messages, None, answer, {})


def written(*calls):
    return write_calls("", [ToolCall(name, arguments) for name, arguments in calls])


NODE = ("node", {"id": 1, "at": [1, 2]})  # three arguments: id, and two places of at
RUN = ("run", {})
ONE = question(written(NODE))
TWO = question(written(NODE, RUN))
WORDS = question("절점 1번을 추가했습니다.")


@pytest.mark.parametrize(
    ("asked", "reply", "readable", "name", "parameters", "invented", "schema"),
    [
        (ONE, written(NODE), 1, 1, 1, 0, 1),
        (ONE, written(("node", {"at": [1.0, 2], "id": 1.0})), 1, 1, 1, 0, 1),
        (ONE, "추가합니다.\n" + written(NODE), 1, 1, 1, 0, 1),
        (ONE, written(("node", {"id": 2, "at": [1, 2]})), 1, 1, 2 / 4, 0, 1),
        (ONE, written(("node", {"id": 1})), 1, 1, 1 / 3, 0, 1),
        (ONE, written(("node", {"id": 1, "at": [1, 2], "z": 0})), 1, 1, 3 / 4, 0, 0),
        (ONE, written(("node", {"id": "1", "at": [1, 2]})), 1, 1, 2 / 4, 0, 0),
        (ONE, written(("node", {"id": True, "at": [1, 2]})), 1, 1, 2 / 4, 0, 0),
        (ONE, written(("nodes", NODE[1])), 1, 0, 0, 1, 0),
        (ONE, written(RUN), 1, 0, 0, 0, 1),
        (ONE, written(NODE, NODE), 1, 0, 3 / 6, 0, 1),
        (ONE, written(NODE)[:-20], 0, 0, 0, 0, 0),
        (ONE, "추가했습니다.", 0, 0, 0, 0, 0),
        (ONE, "", 0, 0, 0, 0, 0),
        (TWO, written(NODE, RUN), 1, 1, 1, 0, 1),
        (TWO, written(RUN, NODE), 1, 1, 1, 0, 1),
        (ONE, written(("node", {"id": 10**400, "at": [1, 2]})), 1, 1, 2 / 4, 0, 1),
        (ONE, '<tool_call>{"name": "node", "arguments": {"id": NaN}}', 0, 0, 0, 0, 0),
        (TWO, written(NODE), 1, 0, 3 / 4, 0, 1),
    ],
)
def test_a_call_is_held_against_the_rows_own(
    asked, reply, readable, name, parameters, invented, schema
):
    mark = judge(asked, reply)
    assert mark[VALID_CALLS] == readable
    assert mark[TOOL_NAMES] == name
    assert mark[PARAMETERS] == pytest.approx(parameters)
    assert mark[INVENTED] == invented
    assert mark["schema_valid"] == schema
    assert mark["grade"] == pytest.approx((readable + name + parameters) / 3)
    assert mark["fully_right"] == (readable + name + parameters == 3)
    assert mark["regime_accuracy"] is None and ROUGE not in mark


@pytest.mark.parametrize(
    ("asked", "reply", "grade", "korean", "due"),
    [
        (WORDS, "절점  1번을 추가했습니다.", 1, 1, 1),
        (WORDS, "절점 1번을", 2 * 5 / (5 + 11), 1, 1),
        (WORDS, written(NODE), 0, 0, 0),
        (question("영하 -5도", tools=None), "영하 5도", 1, 1, None),
        (question("Added.", "en", tools=None), "Added.", 1, None, None),
    ],
)
def test_words_are_held_against_the_rows_own(asked, reply, grade, korean, due):
    mark = judge(asked, reply)
    assert mark["grade"] == pytest.approx(grade)
    assert mark["korean_rationale"] == korean
    assert mark.get(CALLED_RIGHTLY) == due
    assert mark[EXACT] == mark["fully_right"] == (reply.split() == asked.reference.split())
    assert TOOL_NAMES not in mark


def test_arguments_are_compared_value_by_value():
    deep = [ToolCall("node", {"a": {"b": [1, {"c": None}], "d": {}}})]
    other = [ToolCall("node", {"a": {"b": [1, {"c": False}], "d": {}}})]
    assert parameter_share(deep, deep) == 1
    assert parameter_share(deep, other) == 2 / 4
    assert parameter_share([ToolCall("run", {})], [ToolCall("run", {})]) == 1


def test_models_are_shown_and_weighed_by_their_rows(tmp_path):
    """Tables, page, chart and promotion, as an evaluation of a release makes them."""
    questions = [ONE, replace(WORDS, id="row-0002-2")]
    evaluated = Evaluated(questions)
    for model, texts in (("base", ["", ""]), ("released", [ONE.reference, WORDS.reference])):
        evaluated.add(model, [Reply(text, 1.0, 1, 1, "stop") for text in texts])
    write_report(evaluated, tmp_path, toy=False)
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "Fully right: released 100.0 [100.0, 100.0] % of 2 replies.\n" in table
    assert f"| {TOOL_NAMES} | 0.0 [0.0, 0.0] | 100.0 [100.0, 100.0] | +100.0 | 1 |" in table
    for of_the_strategy in ("regime", "exposure", "confidence"):
        assert of_the_strategy not in table
    write_page(evaluated, About("released evaluated"), tmp_path / "report.html")
    assert "Regimes told" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    write_marks(evaluated, tmp_path)
    marks = read_marks(tmp_path)
    rival = Rival("holder", marks.of["base"])
    assert decide(marks.of["released"], rival, marks.days).promote
    assert not decide(marks.of["base"], Rival("holder", marks.of["released"]), marks.days).promote


def test_the_figures_of_rows_have_what_their_questions_ask_for():
    questions = [ONE, WORDS]
    replies = [Reply(written(RUN), 1.0, 1, 1, "stop"), Reply("절점", 1.0, 1, 1, "stop")]
    figures = score(questions, replies, judge_all(questions, replies))
    assert figures["beside"][TOOL_NAMES] == {
        "value": 0.0,
        "low": 0.0,
        "high": 0.0,
        "n": 1,
        "days": 1,
    }
    assert figures["beside"][INVENTED]["n"] == 2
    assert figures["regimes"] == {} and figures["confusion"] == {}
    assert set(figures["kinds"]) == {"tool_calls", "text"}
    assert json.dumps(figures)
