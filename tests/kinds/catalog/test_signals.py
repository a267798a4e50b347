"""signals: scores are open and everything else is judged; ROUGE-L is told beside the grade."""

import json
from random import Random

import pytest

from tasks.core.kinds.catalog import signals
from tasks.core.kinds.texts import to_text
from tasks.core.settings.synthesis import Synthesis
from tasks.core.synthesis.log_files import read_log
from tests.live_logs import SOUND, log, market, signal, write_logs


def scene_of(tmp_path, told):
    (file,) = write_logs(tmp_path, [told]).glob("*/*.json")
    return signals.scene_of(read_log(file, Synthesis()), template=0, seed=7)


@pytest.fixture
def scene(tmp_path):
    return scene_of(tmp_path, SOUND[6])


@pytest.fixture
def right(scene):
    return signals.answer(scene, Random(1))


def failed(scene, answer):
    return {
        part for part, holds in signals.grade(scene, to_text(answer)).parts.items() if not holds
    }


def test_the_answer_is_the_logs_own_below_the_rules_regime(scene, right):
    assert list(right) == list(signals.schema["properties"])
    assert right["working"][0].endswith("rule 3: STRONG_BULL")
    assert right["regime_assessment"] == "STRONG_BULL"
    assert right["analysis"] == SOUND[6]["reasoning"]
    assert right["confidence_pct"] == 80
    assert [(entry["ticker"], entry["score_pct"]) for entry in right["signals"]] == [
        ("000660", 75),
        ("005380", 60),
    ]
    market_names = ["return_pct", "breadth_pct", "momentum_pct", "volatility_pct"]
    assert right["factors_considered"] == [*market_names, "vix", "notes"]
    assert "\n> headline: US chip shares rally\nkind: signals" in signals.ask(scene, Random(1))


def test_other_scores_confidence_and_words_are_as_right(scene, right):
    right["signals"][0] |= {"score_pct": -20, "rationale": "Memory orders fall from next quarter."}
    right["confidence_pct"] = 35
    right["analysis"] = "Buyers lead with 69.0% of names up, yet memory looks late in its cycle."
    assert signals.grade(scene, to_text(right)).score == 1.0


def put(key, value):
    return lambda answer: answer.update({key: value})


def put_first(key, value):
    return lambda answer: answer["signals"][0].update({key: value})


WRONG = [
    (put("regime_assessment", "BEAR"), "regime"),
    (put("working", ["return 1.31: above 1; rule 3: STRONG_BULL"]), "working"),
    (put("factors_considered", ["return_pct"]), "actions"),
    (put_first("ticker", "005930"), "tickers"),
    (put_first("name", "Samsung Electronics"), "tickers"),
    (lambda answer: answer["signals"].pop(), "book"),
    (lambda answer: answer["signals"].append(answer["signals"][0]), "book"),
    (put_first("score_pct", 101), "schema"),
    (put_first("score_pct", 0.75), "schema"),
    (put_first("score_pct", -75), "argued"),  # "Orders for memory keep rising."
    (put_first("rationale", "1 1 1 1 1 1"), "argued"),
    (put_first("rationale", "A good, solid outlook."), "argued"),
    (put_first("rationale", "Lorem ipsum dolor"), "argued"),
    (put_first("rationale", "Kia Motors profits from memory."), "grounded"),
    (put_first("rationale", "메모리 주문이 늘어난다."), "language"),
    (put("analysis", "The market falls by 4.20% and all is lost."), "grounded"),
    (put("analysis", "All things considered, a suitable response."), "argued"),
]


@pytest.mark.parametrize(("spoil", "part"), WRONG)
def test_what_is_wrong_fails_its_own_part(scene, right, spoil, part):
    spoil(right)
    assert part in failed(scene, right)


@pytest.mark.parametrize(
    "rationale",
    [
        *(
            "Memory upcycle continues.",
            "HBM pricing power",
            "Profit taking ends.",
            "Rates and dividends",
        ),
        *("Buyback programme", "Breadth 69.0%", "Orders rise after the sell-off."),
    ],
)
def test_a_rationale_may_be_a_few_words(scene, right, rationale):
    right["signals"][0]["rationale"] = rationale
    assert not failed(scene, right)


def test_numbers_of_a_quote_ground_a_text_with_either_sign(tmp_path):
    flows = f"Foreigners bought KRW 320bn, index at 2650.3, order {'9' * 400}"
    told = {**market(0.9, 61.0, 2.2, 14.1), "flows": flows}
    scene = scene_of(
        tmp_path, log("Foreigners bought KRW 320bn.", [signal("005380", 0.5, "x y z w")], told)
    )
    right = signals.answer(scene, Random(1))
    right["signals"][0]["rationale"] = "A weak won helps its export margins."
    right["analysis"] = "Foreigners bought KRW 320bn and the index trades at 2,650."
    assert not failed(scene, right)
    right["analysis"] = "Foreigners bought KRW 330bn and the index trades at 2,650."
    assert failed(scene, right) == {"grounded"}


def test_rouge_and_the_scores_bounds_are_told_of_any_reply(scene, right):
    whole = signals.beside(scene, to_text(right))
    assert whole == {signals.BOUNDED: 1.0, signals.ROUGE: 1.0}
    right["analysis"] = "The market gains 1.31% and exporters benefit."
    shorter = signals.beside(scene, to_text(right))
    assert 0.3 < shorter[signals.ROUGE] < 0.8
    right["signals"][0]["score_pct"] = 400
    del right["working"]  # no reply that a program could use
    assert signals.beside(scene, to_text(right)) == {**shorter, signals.BOUNDED: 0.0}
    for text in ("no", "[]", '{"signals": 3, "analysis": {}}', json.dumps({"signals": [7]})):
        assert signals.beside(scene, text) == {signals.BOUNDED: 0.0, signals.ROUGE: 0.0}


def test_a_given_regime_is_taken_and_missing_numbers_are_as_usual(tmp_path):
    given = signals.answer(scene_of(tmp_path / "given", SOUND[9]), Random(1))
    assert given["working"] == ["given: WEAKENING; no numbers to check it by"]
    assert given["factors_considered"] == ["current_regime", "notes"]
    assert "%" not in given["market_context"]  # no exposure was asked for
    partial = signals.answer(scene_of(tmp_path / "partial", SOUND[3]), Random(1))
    assert "momentum 0.70 (usual)" in partial["working"][0]
    assert partial["regime_assessment"] == "MILD_BULL"
