"""What replies are worth: right ones, wrong ones of every sort, and a model's figures."""

import json
from dataclasses import replace

import pytest

from tasks.core.evaluation.records import days_of
from tasks.core.evaluation.score import judge, judge_all, score
from tasks.core.kinds import KINDS
from tests.evaluation.replies import reply


def one(questions, kind_name, language="ko", where=lambda right: True):
    """A question of a kind, and its right answer as a dict to spoil."""
    for question in questions:
        right = json.loads(question.reference)
        if (question.kind, question.language) == (kind_name, language) and where(right):
            return question, right
    raise AssertionError(f"no such {kind_name} question")


def marks(question, answer):
    """Every measure of an answer, which is given as a text or as an object."""
    if not isinstance(answer, str):
        answer = json.dumps(answer, ensure_ascii=False)
    return judge(question, answer)


def longs_in(right):
    return bool(right["positions"]["long"])


def test_the_right_answer_has_every_measure(questions):
    for question in questions:
        assert {
            value for value in marks(question, question.reference).values() if value is not None
        } == {1.0}


def test_measures_that_do_not_apply_are_absent(questions):
    question, right = one(questions, "regime_classification", "en")
    found = marks(question, right)
    assert found["valid_tickers"] is None and found["korean_rationale"] is None
    question, right = one(questions, "stop_loss_management")
    assert marks(question, right)["exposure_in_band"] is None


@pytest.mark.parametrize("text", ["", "The regime is BEAR.", '{"regime": "BE'])
def test_what_is_not_json_counts_nowhere(questions, text):
    question, _ = one(questions, "full_analysis")
    assert {value for value in marks(question, text).values() if value is not None} == {0.0}


def test_json_of_another_shape_is_json_but_not_valid(questions):
    question, right = one(questions, "regime_classification")
    found = marks(question, {**right, "mood": "calm"})
    assert (found["valid_json"], found["schema_valid"]) == (1.0, 0.0)


def test_a_wrong_regime_is_seen(questions):
    question, right = one(questions, "regime_classification")
    other = "BEAR" if right["regime"] != "BEAR" else "MILD_BULL"
    found = marks(question, {**right, "regime": other})
    assert (found["schema_valid"], found["regime_accuracy"], found["exposure_in_band"]) == (
        1.0,
        0.0,
        1.0,
    )
    assert found["grade"] < 1


def test_an_exposure_out_of_band_is_seen(questions):
    question, right = one(
        questions, "regime_classification", where=lambda right: right["regime"] != "BEAR"
    )
    found = marks(question, {**right, "recommended_net_exposure_pct": -80})
    assert (found["regime_accuracy"], found["exposure_in_band"]) == (1.0, 0.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ticker": "999999"},  # no such code
        {"name": "삼성전자보통주"},  # no such name
        {"ticker": "삼성"},
    ],
)
def test_a_ticker_that_does_not_exist_or_has_another_name_is_seen(questions, wrong):
    question, right = one(questions, "full_analysis", where=longs_in)
    longs = right["positions"]["long"]
    answer = {
        **right,
        "positions": {**right["positions"], "long": [{**longs[0], **wrong}, *longs[1:]]},
    }
    assert marks(question, answer)["valid_tickers"] == 0.0


def test_two_tickers_with_each_others_names_are_seen(questions):
    question, right = one(questions, "stop_loss_management")
    first, second, *others = right["position_review"]
    swapped = [{**first, "name": second["name"]}, {**second, "name": first["name"]}, *others]
    assert marks(question, {**right, "position_review": swapped})["valid_tickers"] == 0.0
    assert marks(question, {**right, "position_review": []})["valid_tickers"] == 0.0


def test_a_ticker_of_the_prompt_is_allowed_under_its_name_there(questions):
    question, right = one(questions, "stop_loss_management")
    system, user = question.messages
    asked = replace(
        question,
        messages=[system, {**user, "content": user["content"] + "\n- Hanbit Test(123A45) -9.0%"}],
    )
    line = {**right["position_review"][0], "ticker": "123A45", "name": "Hanbit Test"}
    answer = {**right, "position_review": [line]}
    assert marks(asked, answer)["valid_tickers"] == 1.0
    assert (
        marks(asked, {**right, "position_review": [{**line, "name": "Another"}]})["valid_tickers"]
        == 0.0
    )
    assert marks(question, answer)["valid_tickers"] == 0.0


@pytest.mark.parametrize(
    "text", ["市場 수익률이 하락해 약세로 본다.", "The market fell, so it weakens."]
)
def test_hanja_and_english_are_no_korean_rationale(questions, text):
    question, right = one(questions, "regime_classification", "ko")
    found = marks(question, {**right, "reasoning": text})
    assert (found["schema_valid"], found["korean_rationale"]) == (1.0, 0.0)


def test_a_models_figures(questions):
    replies = [
        reply(question.reference, seconds=1 + number) for number, question in enumerate(questions)
    ]
    replies[0] = reply("no JSON", seconds=1, finish="length")
    found = score(questions, replies, judge_all(questions, replies))
    assert found["questions"]["n"] == 24
    measure = found["measures"]["valid_json"]
    assert (measure["value"], measure["n"]) == (round(23 / 24, 4), 24)
    assert measure["low"] <= measure["value"] <= measure["high"] <= 1
    korean = sum(question.language == "ko" for question in questions)
    assert found["measures"]["korean_rationale"]["n"] == korean
    assert measure["days"] == len(set(days_of(questions))) <= 24
    assert set(found["languages"]) == {"en", "ko"}
    assert found["languages"]["ko"]["n"] == korean
    assert set(found["kinds"]) == {known.name for known in KINDS}
    assert found["speed"]["latency_p50_s"] == 12.5
    assert found["speed"]["tokens_per_s"] == round(24 * 50 / sum(range(1, 25)), 1)
    assert found["speed"]["cut_replies"] == 1
    assert found["summary"]["grade"] == found["measures"]["grade"]["value"]
    assert score(questions, replies, judge_all(questions, replies)) == found


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" * 900 + "]" * 900,
        '{"a":' * 70 + "1" + "}" * 70,
        '"\\ud800"',
        '{"\\udfff": 1}',
        "9" * 4_000,
        "9" * 9_000,
        "1e999",
        '{"confidence_pct": NaN}',
        "[Infinity]",
        "-Infinity",
    ],
)
def test_what_no_program_can_hold_is_graded_as_nothing(questions, text):
    for question in questions[:12]:
        found = marks(question, text)
        assert (found["valid_json"], found["schema_valid"], found["grade"]) == (0.0, 0.0, 0.0)
