"""Questions are read as people ask them: under any name of a number, in any of its forms."""

import pytest

from tasks.core.kinds.lexicon import MARKET, called, printed
from tasks.core.synthesis.reading import read_question
from tests.synthetic import LANGUAGES


@pytest.mark.parametrize(
    ("question", "numbers", "words"),
    [
        (
            "KOSPI -2.3%, foreign net selling -800B KRW. Classify regime.",
            {"return_pct": -2.3, "foreign_net_buy_100m_krw": -8000.0},
            {},
        ),
        (
            "KOSPI -2.3%, breadth 25%, momentum -6%. Classify regime and recommend positions.",
            {"return_pct": -2.3, "breadth_pct": 25.0, "momentum_pct": -6.0},
            {},
        ),
        (
            "Current regime: WEAKENING. What positions should we take?",
            {},
            {"current_regime": "WEAKENING"},
        ),
        (
            "The index is down 1.8%, vol 31%.",
            {"return_pct": -1.8, "volatility_pct": 31.0},
            {},
        ),
        (
            "KOSPI fell by 2.3%, advancers 25%",
            {"return_pct": -2.3, "breadth_pct": 25.0},
            {},
        ),
        ("KOSPI flat at 0.00%", {"return_pct": 0.0}, {}),
        ("net foreign buying KRW 120.5 bn", {"foreign_net_buy_100m_krw": 1205.0}, {}),
        (
            "코스피가 2.3% 빠졌고 상승 종목 비중은 25%다. 국면은?",
            {"return_pct": -2.3, "breadth_pct": 25.0},
            {},
        ),
        ("지수 1.2% 상승, 변동성 18%", {"return_pct": 1.2, "volatility_pct": 18.0}, {}),
        (
            "코스피 -0.85%, 외국인 순매도 3,200억원",
            {"return_pct": -0.85, "foreign_net_buy_100m_krw": -3200.0},
            {},
        ),
        (
            "코스피 −1.2%, 외국인 8,000억원 순매도",
            {"return_pct": -1.2, "foreign_net_buy_100m_krw": -8000.0},
            {},
        ),
        ("외국인이 1조 2,300억 순매수", {"foreign_net_buy_100m_krw": 12_300.0}, {}),
        ("Foreigners sold KRW 800 bn", {"foreign_net_buy_100m_krw": -8000.0}, {}),
        ("현재 국면: BEAR. 뭘 사야 해?", {}, {"current_regime": "BEAR"}),
        ("오늘 코스피가 3% 급락했다", {"return_pct": -3.0}, {}),
    ],
)
def test_a_question_is_read_as_people_ask_it(question, numbers, words):
    reading = read_question(question)
    assert reading.facts.numbers == numbers and reading.facts.words == words
    assert reading.unread == ()


def test_a_number_with_more_digits_than_it_has_or_told_twice_is_not_read():
    assert read_question("breadth 25.55%").unread
    assert read_question("KOSPI -2.3%, the index -2.4%").unread


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("return_pct", -2.3),
        ("return_pct", 0.0),
        ("return_pct", 1.75),
        ("breadth_pct", 25.0),
        ("momentum_pct", -6.0),
        ("momentum_pct", 4.25),
        ("volatility_pct", 18.5),
        ("foreign_net_buy_100m_krw", -8000.0),
        ("foreign_net_buy_100m_krw", 12_300.0),
    ],
)
def test_every_name_and_form_that_is_printed_is_read_back(name, value, language):
    forms = set()
    for seed in range(0, 2_000_000, 997):
        said = called(name, value, language, seed)
        forms.add(f"{said.name} {said.value}")
    lead = "오늘" if language == "ko" else "today"
    for form in forms:
        assert read_question(f"{lead} {form}.").facts.numbers == {name: value}, form
    assert len(forms) >= (4 if name in MARKET else 1)
    assert any(form.endswith(printed(name, value, language)) for form in forms)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_usual_name_comes_in_half_of_the_questions_and_each_other_often(language):
    label = MARKET["return_pct"]
    counts = dict.fromkeys(label.printed_names(language), 0)
    for seed in range(0, 2_000_000, 997):
        counts[called("return_pct", -1.0, language, seed).name] += 1
    usual, *others = counts.values()
    assert 0.5 <= usual / sum(counts.values()) <= 0.75
    assert min(others) >= 0.08 * sum(counts.values())
