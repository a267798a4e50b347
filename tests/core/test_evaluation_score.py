"""The frozen questions, and what replies to them are worth: right ones, wrong ones of every sort."""

import json
from dataclasses import replace

import pytest

from tasks.core.errors import RequestError
from tasks.core.evaluation.answer import Reply
from tasks.core.evaluation.questions import build_questions, read_questions
from tasks.core.evaluation.report import compare, read_scores, write_report
from tasks.core.evaluation.score import judge, score
from tasks.core.evaluation.statistics import estimate, percentile
from tasks.core.kinds import KINDS, kind_named
from tasks.core.kinds.scenes import HELD_TEMPLATES
from tasks.core.market.artifact import build_market
from tasks.core.market.demo import generate_demo_market
from tasks.core.records.market_days import read_snapshots
from tasks.core.settings.tree import Evaluation, Market
from tasks.core.strategy.rules import NUMBERS


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    folder = tmp_path_factory.mktemp("market")
    generate_demo_market(folder / "days")
    (folder / "out").mkdir()
    build_market(folder / "days", Market(), folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def questions(market, tmp_path_factory):
    out = tmp_path_factory.mktemp("questions")
    build_questions(market / "holdout", Evaluation(questions=24), out)
    return read_questions(out / "questions.jsonl")


def reply(text, seconds=2.0, finish="stop"):
    return Reply(text, seconds, prompt_tokens=100, completion_tokens=50, finish_reason=finish)


def one(questions, kind_name, language="ko", where=lambda right: True):
    """A question of a kind, and its right answer as a dict to spoil."""
    for question in questions:
        right = json.loads(question.reference)
        if (question.kind, question.language) == (kind_name, language) and where(right):
            return question, right
    raise AssertionError(f"no such {kind_name} question")


def marks(question, answer):
    return judge(
        question, answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    )


def longs_in(right):
    return bool(right["positions"]["long"])


# questions


def test_the_set_is_frozen_and_spread(market, tmp_path):
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        counts = build_questions(market / "holdout", Evaluation(questions=40), tmp_path / name)
        made.append((tmp_path / name / "questions.jsonl").read_bytes())
    assert made[0] == made[1]
    assert counts["questions"] == 40
    assert set(counts["kinds"]) == {known.name for known in KINDS}
    assert abs(counts["languages"]["ko"] - counts["languages"]["en"]) <= len(KINDS)
    (tmp_path / "c").mkdir()
    build_questions(market / "holdout", Evaluation(questions=40, seed=7), tmp_path / "c")
    assert (tmp_path / "c" / "questions.jsonl").read_bytes() != made[0]


def test_questions_are_of_held_out_days_and_templates(questions, market):
    last_training_day = read_snapshots(market / "train")[-1].date
    for question in questions:
        assert question.date > last_training_day
        templates = len(kind_named(question.kind).templates(question.language))
        assert question.scene["template"] >= templates - HELD_TEMPLATES
        assert not set(NUMBERS) & set(question.scene["simulated"])
    prompts = [question.messages[-1]["content"] for question in questions]
    assert len(set(prompts)) == len(prompts)


@pytest.mark.parametrize("count", [1, 2, len(KINDS), 50])
def test_every_kind_is_asked_where_the_number_allows(market, tmp_path, count):
    counts = build_questions(market / "holdout", Evaluation(questions=count), tmp_path)
    assert sum(counts["kinds"].values()) == count
    assert len(counts["kinds"]) == min(count, len(KINDS))


def test_a_file_that_holds_no_questions_is_named(tmp_path):
    file = tmp_path / "questions.jsonl"
    with pytest.raises(RequestError, match="questions.jsonl cannot be read"):
        read_questions(file)
    file.write_text("")
    with pytest.raises(RequestError, match="is empty"):
        read_questions(file)
    file.write_text('{"id": "x"}\n')
    with pytest.raises(RequestError, match="line 1 is not a question"):
        read_questions(file)


def test_a_reply_may_be_longer_than_the_right_answer_but_not_endless(questions):
    for question in questions:
        assert len(question.reference) <= question.max_tokens <= 4 * len(question.reference) + 256


# one reply


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


@pytest.mark.parametrize(
    "text", ["", "The regime is BEAR.", '```json\n{"regime": "BEAR"}\n```', '{"regime": "BE']
)
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


# a model


def test_a_models_figures(questions):
    replies = [
        reply(question.reference, seconds=1 + number) for number, question in enumerate(questions)
    ]
    replies[0] = reply("no JSON", seconds=1, finish="length")
    found = score(questions, replies)
    assert found["questions"]["n"] == 24
    measure = found["measures"]["valid_json"]
    assert (measure["value"], measure["n"]) == (round(23 / 24, 4), 24)
    assert measure["low"] <= measure["value"] <= measure["high"] <= 1
    korean = sum(question.language == "ko" for question in questions)
    assert found["measures"]["korean_rationale"]["n"] == korean
    assert set(found["kinds"]) == {known.name for known in KINDS}
    assert found["speed"]["latency_p50_s"] == 12.5
    assert found["speed"]["tokens_per_s"] == round(24 * 50 / sum(range(1, 25)), 1)
    assert found["speed"]["cut_replies"] == 1
    assert found["summary"]["grade"] == found["measures"]["grade"]["value"]
    assert score(questions, replies) == found


def test_intervals_are_seeded_and_narrow_with_more_values():
    few, many = estimate([0.0, 1.0] * 5), estimate([0.0, 1.0] * 500)
    assert few == estimate([0.0, 1.0] * 5)
    assert few["value"] == many["value"] == 0.5
    assert 0.1 < few["low"] < 0.5 < few["high"] < 0.9
    assert many["high"] - many["low"] < 0.07  # 2 × 1.96 × sqrt(0.25 / 1000) = 0.062
    assert estimate([None, 1.0, None])["n"] == 1
    assert estimate([None]) == {"value": None, "low": None, "high": None, "n": 0}
    assert percentile([], 50) is None


# report and decision


def scores_of(questions, wrong):
    """Figures of a model whose first `wrong` replies are no JSON."""
    texts = [question.reference for question in questions]
    return score(
        questions, [reply("no") for _ in texts[:wrong]] + [reply(text) for text in texts[wrong:]]
    )


def test_the_report_sets_the_models_side_by_side(questions, tmp_path):
    base, released = scores_of(questions, 12), scores_of(questions, 3)
    write_report({"base": base, "released": released}, tmp_path, toy=True)
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "toy" in table and "not that the model has the skill" in table
    assert "| share of replies, % | base | released | difference, pp | n |" in table
    assert "| valid JSON | 50.0 [" in table and "| 87.5 [" in table and "| +37.5 | 24 |" in table
    assert "latency, median, s | 2 | 2 |" in table
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
    kept = read_scores(tmp_path)
    assert kept["released"]["measures"] == released["measures"]
    assert "speed" not in kept["released"]  # differs from run to run, so it is beside the content
    assert json.loads((tmp_path / "speed.json").read_text())["base"] == base["speed"]


def test_a_measure_that_applies_nowhere_is_a_dash(questions, tmp_path):
    english = [question for question in questions if question.language == "en"]
    write_report(
        {"base": scores_of(english, 0), "released": scores_of(english, 0)}, tmp_path, toy=False
    )
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| Korean rationale, no Hanja | – | – | – | 0 |" in table
    assert "toy" not in table
    write_report({"alone": scores_of(english, 0)}, tmp_path, toy=False)
    assert "| share of replies, % | alone | n |" in (tmp_path / "table.md").read_text(
        encoding="utf-8"
    )


def test_scores_that_are_not_there_are_named(tmp_path):
    with pytest.raises(RequestError, match="scores.json is no evaluation's scores"):
        read_scores(tmp_path)


def test_a_model_is_promoted_unless_it_regresses(questions):
    best, worst = scores_of(questions, 0), scores_of(questions, 20)
    assert compare(None, worst).promote
    assert compare(worst, best).promote
    assert compare(best, best).promote
    refused = compare(best, worst)
    assert not refused.promote
    assert any(
        reason.startswith("obeys the schema: fell, 1.000 → 0.167") for reason in refused.reasons
    )


def test_a_fall_within_the_interval_may_be_chance(questions):
    assert compare(scores_of(questions, 0), scores_of(questions, 1)).promote
    assert not compare(scores_of(questions, 0), scores_of(questions, 8)).promote


def test_only_answers_to_the_same_questions_are_compared(questions):
    with pytest.raises(RequestError, match="not asked the same questions"):
        compare(scores_of(questions, 0), scores_of(questions[1:], 0))
