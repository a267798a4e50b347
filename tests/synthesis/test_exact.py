"""Our own sentences are held to themselves: to what stands in each blank, and to whom they name."""

import json

import pytest

from tasks.core.kinds import KINDS, phrases
from tasks.core.records.facts import Facts, StockFacts
from tasks.core.synthesis.blanks import AMONG_WORDS, PRINTED_ALONE
from tasks.core.synthesis.checks import check_row
from tasks.core.synthesis.exact import exact_problems
from tasks.core.synthesis.marks import BETWEEN_SENTENCES, IN_SKELETONS, marked
from tasks.core.synthesis.named import texts_of
from tasks.core.synthesis.reading import Reading
from tasks.core.synthesis.skeletons import readings_of
from tests.contract.test_mutants import leaves

LANGUAGES = ("ko", "en")
# A mild bull market 0.4 points above the 0 % at which it would weaken.
MARKET = {"return_pct": 0.4, "breadth_pct": 60.0, "momentum_pct": 1.0, "volatility_pct": 15.0}
SAMSUNG = "005930"


class Filled(dict):
    """What stands in blanks; {regime_ro} is {regime}, for particles do not count."""

    def __missing__(self, blank):
        return self[blank.split("_")[0]]


def problems(text, kind, language, *, entry=None, numbers=(), stock=(), **answer):
    """What is wrong with a text on the whole or, with an `entry`, with the reason of Samsung's."""
    stocks = (StockFacts(SAMSUNG, dict(stock)),)
    facts = Facts({**MARKET, **dict(numbers)}, stocks)
    question = Reading(language, kind, facts, (), (), (), "")
    answer = {"working": [], **answer}
    if entry is None:
        answer["reasoning"] = text
    else:
        answer["entries"] = [{"ticker": SAMSUNG, "reason": text, **entry}]
    return [problem.detail for problem in exact_problems(answer, question, "")]


def each_wrong(sentence, right, wrong):
    """The sentence with one of its blanks filled wrongly, for each of them."""
    for blank, value in wrong.items():
        if f"{{{blank}" in sentence:
            yield sentence.format_map(Filled({**right, blank: value}))


TURN = {
    "ko": {"label": "시장 수익률", "moves": "밑으로 내려가면"},
    "en": {"label": "market return", "moves": "falls below"},
}
NO_TURN = {
    "ko": {"label": "상승 종목 비중", "moves": "위로 올라서면"},
    "en": {"label": "advancing breadth", "moves": "rises above"},
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_turn_names_its_number_limit_side_distance_and_regime(language):
    right = {**TURN[language], "limit": "0%", "gap": "0.40", "regime": "WEAKENING"}
    wrong = {**NO_TURN[language], "limit": "-1%", "gap": "0.60", "regime": "SHORT_TERM_STRESS"}
    for sentence in phrases.TURNS[language]:
        text = sentence.format_map(Filled(right))
        assert problems(text, "regime_classification", language) == [], text
        for text in each_wrong(sentence, right, wrong):
            assert problems(text, "regime_classification", language), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_limit_in_words_of_ours_is_the_sentences_own(language):
    """-1% is a limit of the return, and no less one where the sentence speaks of -1.5%."""
    for sentence in phrases.GROUNDS[language]["SHORT_TERM_STRESS"]:
        text = sentence.format(r="-1.20%", b="20.0%")
        numbers = {"return_pct": -1.2, "breadth_pct": 20.0}
        assert problems(text, "fx_impact", language, numbers=numbers) == [], text
        if "-1%" in text:
            text = text.replace("-1%", "-2%")
            (problem,) = problems(text, "fx_impact", language, numbers=numbers)
            assert "-2 stands where -1 belongs" in problem


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_reason_gives_each_number_its_own_role(language):
    """The row has all of these numbers, each in another place."""
    stock = {"pnl_pct": -6.7, "weight_pct": 9}
    right = {"pnl": "-6.7%", "stop": "-8%", "take": "15%", "gap": "1.3"}
    wrong = {"pnl": "-8%", "stop": "-3%", "take": "9%", "gap": "3.7"}
    for sentence in texts_of("stop_loss_management")["near_stop"][language]:
        text = sentence.format_map(Filled(right))
        assert problems(text, "stop_loss_management", language, entry={}, stock=stock) == []
        for text in each_wrong(sentence, right, {**wrong, "gap": "9"}):
            assert problems(text, "stop_loss_management", language, entry={}, stock=stock), text


@pytest.mark.parametrize(
    ("language", "points"),
    [("ko", "갭 +{gap}%, 거래량 {volume}배"), ("en", "gap +{gap}% and volume {volume}x")],
)
def test_a_number_of_a_list_is_what_the_list_calls_it(language, points):
    """A gap of 4.1 % is none because the volume is 4.1x."""
    stock = {"gap_pct": 3.2, "volume_x": 4.1, "f_score": 2}
    entry = {"score_points": 2}
    for sentence in texts_of("opening_momentum")["score"][language]:
        told = Filled(points=points.format(gap=3.2, volume=4.1), score=2)
        text = sentence.format_map(told)
        assert problems(text, "opening_momentum", language, entry=entry, stock=stock) == [], text
        told["points"] = points.format(gap=4.1, volume=3.2)
        text = sentence.format_map(told)
        assert problems(text, "opening_momentum", language, entry=entry, stock=stock), text


def test_a_sign_in_a_list_ends_no_check():
    """The judge has # for a number, and a text may have one of its own."""
    sentence = texts_of("opening_momentum")["score"]["en"][0]
    text = sentence.format_map(Filled(points="gap # +3.2%", score=2))
    stock = {"gap_pct": 3.2}
    entry = {"score_points": 2}
    assert problems(text, "opening_momentum", "en", entry=entry, stock=stock) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_reason_names_the_stocks_own_sector_and_business(language):
    banks = texts_of("fx_impact")
    own = banks["exporter/Semiconductors"][language][0]
    others = banks["exporter/Autos"][language][0]
    for sentence in banks["exporter_WON_WEAK"][language]:
        told = Filled(rate="1300.0", change="+1.00%", what=own, What=own.capitalize())
        rest = {"numbers": {"usdkrw": 1300.0, "usdkrw_change_pct": 1.0}, "entry": {}}
        assert problems(sentence.format_map(told), "fx_impact", language, **rest) == []
        told |= {"what": others, "What": others.capitalize()}
        assert problems(sentence.format_map(told), "fx_impact", language, **rest)


def test_a_sentence_is_of_the_fund_that_is_bought():
    texts = texts_of("overnight_gap")["sum_geared"]["ko"]
    order = {"ticker": "267770", "weight_pct": 5, "effective_pct": 10}
    right = {"size": 10, "weight": 5, "effective": 10, "multiple": 2, "fold": 2}
    right["name"] = "TIGER 200선물레버리지"
    wrong = {"size": 15, "weight": 10, "effective": 5, "multiple": -2, "fold": 5}
    wrong["name"] = "TIGER 200선물인버스2X"
    night = {"us_return_pct": 0.4, "vix": 12.0}
    rest = {"numbers": night, "overnight_strategy": order}
    rest["working"] = ["S&P +0.40 not >= 1: +0; VIX 12.0 not >= 25: +0; 10+0+0=10"]
    for sentence in texts:
        text = sentence.format_map(Filled(right))
        assert problems(text, "overnight_gap", "ko", **rest) == [], text
        for text in each_wrong(sentence, right, wrong):
            assert problems(text, "overnight_gap", "ko", **rest), text


def test_every_sentence_that_is_made_is_a_published_one(rows):
    """Else all this would hold of nothing."""
    for row in rows:
        metadata = row["metadata"]
        for path, text in leaves(json.loads(row["messages"][2]["content"])):
            if path[-1] in ("reasoning", "reason", "recommendation", "contingency", "note"):
                for sentence in BETWEEN_SENTENCES.split(marked(text)[0]):
                    assert readings_of(sentence, metadata["kind"], metadata["language"]), sentence


WITHOUT_NUMBERS = {"ratio", "level", "names", "winners", "losers", "what", "What", "why", "moves"}
OF_QUESTIONS = {"market", "day", "stocks"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_blank_has_a_meaning(kind):
    """A number in a blank that blanks.py does not know is read as in any model's words."""
    known = {*PRINTED_ALONE, *AMONG_WORDS, *WITHOUT_NUMBERS, *OF_QUESTIONS}
    for bank in texts_of(kind.name).values():
        for sentence in (*bank["ko"], *bank["en"]):
            for place in IN_SKELETONS.findall(sentence):
                if "{" in place:
                    assert place.strip("{}+-").partition(":")[0].partition("_")[0] in known


def test_own_words_are_judged_as_a_models_are(rows):
    """A row of a user's own may round, and say what it likes in other words."""
    row = next(
        row
        for row in rows
        if row["metadata"]["kind"] == "regime_classification"
        and row["metadata"]["regime"] == "STRONG_BULL"
        and row["metadata"]["language"] == "en"
    )
    system, question, reply = row["messages"]
    rise = row["metadata"]["scene"]["facts"]["numbers"]["return_pct"]
    answer = json.loads(reply["content"])
    answer["reasoning"] = f"Buyers took the index up by {rise:.1f}% at a stroke."
    own = [system, question, {"role": "assistant", "content": json.dumps(answer)}]
    assert list(check_row({**row, "messages": own})) == []
