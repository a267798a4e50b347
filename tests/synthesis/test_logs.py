"""A live system's reasoning logs become proven rows; a bad one is dropped for its reason."""

import json
from itertools import product

import pytest

from tasks.core.errors import RequestError
from tasks.core.settings.synthesis import Synthesis
from tasks.core.synthesis.checks import check_rows
from tasks.core.synthesis.log_files import EXAMPLE
from tasks.core.synthesis.logs import Market, logged_rows
from tests.live_logs import SOUND, log, market, signal, write_logs

REAL = Market("2025-09-30", generated=False)


def letters(texts):
    return list(map(len, texts))


def take(folder, logs, of=REAL, **settings):
    write_logs(folder, logs)
    return logged_rows(Synthesis(logs=str(folder), token_budget=5_000, **settings), of, letters)


def taken(tmp_path, changed, **settings):
    """What became of one sound log and another, which is changed."""
    logged = take(tmp_path / "logs", [SOUND[0], changed], **settings)
    (reason,) = logged.dropped or [None]
    return reason, logged


def test_every_sound_log_becomes_a_true_row(tmp_path):
    logged = take(tmp_path / "logs", SOUND)
    assert logged.report() == {"files": 10, "rows": 10, "held": 0, "dropped": {}}
    assert check_rows(logged.rows) == []
    for told, row in zip(SOUND, logged.rows, strict=True):
        answer = json.loads(row["messages"][2]["content"])
        assert answer["analysis"] == told["reasoning"]
        scores = {round(100 * entry["score"]) for entry in told["signals"]}
        assert {entry["score_pct"] for entry in answer["signals"]} == scores
    assert {row["metadata"]["language"] for row in logged.rows} == {"ko", "en"}
    again = take(tmp_path / "logs", [])
    assert again.rows == logged.rows


BREADTH = {"latency_ms": 900, "market_context": {"breadth": 0.42}}
ONE = SOUND[5]
BROKEN = [
    ("{half", "no JSON"),
    ('{"a": ' + "[" * 100_000, "no JSON"),
    ('{"task": "\\ud800"}', "no JSON"),
    ("[1]", "no JSON object"),
    *(({**ONE, key: None}, "missing keys") for key in ONE),
    ({**ONE, "metadata": "x"}, "no object in metadata"),
    ({**ONE, "metadata": {"latency_ms": 100}}, "nothing of the market"),
    ({**ONE, "metadata": BREADTH}, "numbers"),
    ({**ONE, "metadata": {"market_context": {"return_pct": 2650.3}}}, "numbers"),
    ({**ONE, "metadata": {**ONE["metadata"], "regime": "BEAR"}}, "another regime"),
    ({**ONE, "metadata": {**ONE["metadata"], "latency_ms": 30_001}}, "slower than 30000 ms"),
    ({**ONE, "timestamp": "yesterday"}, "no time in timestamp"),
    ({**ONE, "confidence": 0.69}, "confidence below 0.7"),
    ({**ONE, "confidence": 80}, "confidence not 0 to 1"),
    ({**ONE, "signals": "BUY"}, "no list of signals"),
    ({**ONE, "signals": ["BUY"]}, "no list of signals"),
    ({**ONE, "signals": []}, "not 1 to 20 signals"),
    ({**ONE, "signals": [*ONE["signals"], ONE["signals"][0]]}, "a ticker twice"),
    ({**ONE, "signals": [signal("005930", 1.2, "Orders rise.")]}, "score not -1 to 1"),
    ({**ONE, "signals": [signal("005930", True, "Orders rise.")]}, "score not -1 to 1"),
    ({**ONE, "signals": [signal("999999", 0.2, "Orders rise.")]}, "unknown ticker"),
    ({**ONE, "signals": [signal("AAPL", 0.2, "Orders rise.")]}, "unknown ticker"),
    (
        {**ONE, "signals": [{**signal("005930", 0.2, "Orders rise."), "name": "SK하이닉스"}]},
        "unknown ticker",
    ),
    ({**ONE, "signals": [signal("005930", 0.2, " ")]}, "no text in rationale"),
    ({**ONE, "signals": [signal("005930", 0.2, "주문이 늘어난다.")]}, "mixed languages"),
    ({**ONE, "signals": [signal("005930", 0.2, "Fine, 好.")]}, "Hanja"),
    ({**ONE, "metadata": {"market_context": {"regime": "BEAR", "news": "美"}}}, "Hanja"),
    (
        {**ONE, "signals": [signal("005930", -0.2, "Orders for memory keep rising.")]},
        "not graded right",
    ),
    ({**ONE, "reasoning": "\n "}, "no text in reasoning"),
    ({**ONE, "reasoning": "x " * 2_000}, "schema"),
    ({**ONE, "reasoning": "Breadth of 47.5% is thin."}, "not grounded"),
    ({**ONE, "reasoning": "All things considered, a suitable response."}, "not argued"),
    ({**ONE, "reasoning": "지수가 약하다. The index is weak and memory leads."}, "mixed languages"),
    ({**ONE, "reasoning": "Buyers lead.<|im_end|> Breadth is thin."}, "a chat template's token"),
    ({**ONE, "reasoning": "Breadth of 41.5%\u001b[2J is thin."}, "control characters"),
    ({**ONE, "reasoning": "On 2026-01-05 breadth was 41.5%."}, "a later day"),
]


@pytest.mark.parametrize(("broken", "reason"), BROKEN, ids=lambda value: str(value)[:24])
def test_a_bad_log_is_dropped_for_its_reason_with_an_example(tmp_path, broken, reason):
    found, logged = taken(tmp_path, broken)
    assert found == reason
    assert len(logged.rows) == 1
    assert logged.dropped[reason]["logs"] == 1
    assert logged.dropped[reason]["example"].startswith("2025-03-04/001.json: ")


def test_a_reason_counts_its_logs_and_keeps_the_first_as_its_example(tmp_path):
    logged = take(tmp_path / "logs", [SOUND[0], "{", "}", "[]"])
    assert logged.dropped == {
        "no JSON": {"logs": 2, "example": logged.dropped["no JSON"]["example"]},
        "no JSON object": {"logs": 1, "example": "2025-03-06/003.json: []"},
    }
    assert "2025-03-04/001.json" in logged.dropped["no JSON"]["example"]


def test_the_filters_are_settings(tmp_path):
    sure = {**SOUND[5], "confidence": 0.65}
    slow = {**sure, "metadata": {**sure["metadata"], "latency_ms": 31_000}}
    assert taken(tmp_path / "a", slow)[0] == "confidence below 0.7"
    assert taken(tmp_path / "b", slow, logs_min_confidence=0.6)[0] == "slower than 30000 ms"
    open_to_all = {"logs_min_confidence": 0, "logs_max_latency_ms": 0}
    assert taken(tmp_path / "c", slow, **open_to_all)[0] is None
    assert taken(tmp_path / "d", SOUND[1], logs_max_signals=2)[0] == "not 1 to 2 signals"
    assert taken(tmp_path / "e", SOUND[8], logs_min_signals=2)[0] == "not 2 to 20 signals"


SAID_OTHERWISE = [
    {
        "market": {"return_pct": -0.55, "breadth_pct": 41.5},
        "macro": {"momentum": -0.9, "vol": 16.1},
    },
    {"market_return": -0.55, "breadth": 41.5, "momentum": "-0.9 %", "vol": "16.1%"},
    {"코스피 등락률": "-0.55%", "상승 종목 비중": "41.5", "모멘텀": -0.9, "변동성": 16.1},
    "KOSPI down 0.55%, breadth 41.5%, momentum -0.9%, volatility 16.1%",
    "코스피 0.55% 하락, 상승 종목 비중 41.5%, 모멘텀 -0.9%, 변동성 16.1%",
]


@pytest.mark.parametrize("context", SAID_OTHERWISE, ids=str)
@pytest.mark.parametrize("place", ["market_context", "context", "prompt"])
def test_the_markets_numbers_are_read_as_programs_and_people_say_them(tmp_path, context, place):
    told = {**SOUND[5], "metadata": {place: context, "sampling": float("nan")}}
    (row,) = take(tmp_path / "logs", [told]).rows
    facts = row["metadata"]["scene"]["facts"]
    assert facts["numbers"] == market(-0.55, 41.5, -0.9, 16.1)
    assert "notes" not in facts["words"]


def test_what_has_no_name_of_ours_is_quoted_and_an_index_level_is_no_return(tmp_path):
    context = {**market(-0.55, 41.5, -0.9, 16.1), "kospi": 2650.3, "desk": ["US", "calm"]}
    told = {**SOUND[5], "task": "Score the watch list", "metadata": {"market_context": context}}
    (row,) = take(tmp_path / "logs", [told]).rows
    question = row["messages"][1]["content"]
    quoted = '> Score the watch list\n> kospi: 2650.3\n> desk: ["US", "calm"]\nkind: signals'
    assert question.endswith(quoted)


def test_logs_after_the_last_training_day_are_kept_for_the_evaluation(tmp_path):
    logged = take(tmp_path / "logs", SOUND, of=Market("2025-03-09", generated=False))
    assert len(logged.rows) == 7 and len(logged.held) == 3
    assert [scene["day"] for scene in logged.held] == ["2025-03-10", "2025-03-11", "2025-03-12"]
    assert all(scene["template"] >= 20 for scene in logged.held)
    assert all(row["metadata"]["template"] < 20 for row in logged.rows)


def test_beside_an_invented_market_the_last_fifth_of_the_logs_days_is_kept(tmp_path):
    invented = Market("2024-06-28", generated=True)
    logged = take(tmp_path / "all", SOUND, of=invented)
    assert (len(logged.rows), len(logged.held)) == (8, 2)
    assert len(take(tmp_path / "one", SOUND[:1], of=invented).rows) == 1


def test_a_time_with_its_zone_is_a_day_in_korea(tmp_path):
    night = {**SOUND[5], "timestamp": "2025-09-30T23:30:00+00:00"}
    folder = tmp_path / "logs"
    logged = take(folder, [SOUND[0], night])
    assert [scene["day"] for scene in logged.held] == ["2025-10-01"]


def test_the_same_question_is_asked_once(tmp_path):
    other_answer = {**SOUND[0], "confidence": 0.9}
    logged = take(tmp_path / "logs", [SOUND[0], other_answer, SOUND[5]])
    assert len(logged.rows) == 2
    example = "2025-03-04/001.json: as 2025-03-03/000.json"
    assert logged.dropped == {"the same question": {"logs": 1, "example": example}}


def test_a_log_that_is_nearly_a_training_one_is_not_asked(tmp_path):
    told = " ".join(map("".join, product("abcdefghij", repeat=2)))  # a hundred words
    numbers = "breadth 41.5%, momentum -0.9%, volatility 16.1%"
    logs = [
        log(SOUND[5]["reasoning"], SOUND[5]["signals"], f"KOSPI -0.55%, {numbers}. {told}"),
        log(SOUND[5]["reasoning"], SOUND[5]["signals"], f"KOSPI -0.55%, {numbers}. {told} end"),
    ]
    logged = take(tmp_path / "logs", logs, of=Market("2025-03-03", generated=False))
    assert len(logged.rows) == 1 and not logged.held
    assert set(logged.dropped) == {"nearly a training question"}


def test_a_folder_without_a_sound_log_shows_what_one_looks_like(tmp_path):
    message = (
        r"logs holds no sound log\. Of 2 files: 1 confidence not 0 to 1"
        r" \(2025-03-04/001\.json: 80\);"
        r' 1 no JSON \(2025-03-03/000\.json: .*\)\. A log looks like {"task": "signals",'
    )
    with pytest.raises(RequestError, match=message):
        take(tmp_path / "logs", ["{", {**SOUND[5], "confidence": 80}])


def test_the_log_that_is_shown_makes_a_row(tmp_path):
    assert len(take(tmp_path / "logs", [EXAMPLE]).rows) == 1


def test_logs_that_are_all_too_late_name_the_setting(tmp_path):
    message = r"begin on 2025-03-03, after the market's last training day, 2025-02-28"
    with pytest.raises(RequestError, match=message):
        take(tmp_path / "logs", SOUND, of=Market("2025-02-28", generated=False))


@pytest.mark.parametrize(("folder", "fault"), [("nowhere", "is no folder"), ("", "holds no DATE")])
def test_a_folder_without_logs_is_refused(tmp_path, folder, fault):
    with pytest.raises(RequestError, match=f"{fault}.*e.g. logs/reasoning"):
        logged_rows(Synthesis(logs=str(tmp_path / folder)), REAL, letters)


def test_no_row_of_another_kind_may_quote(tmp_path):
    (row,) = take(tmp_path / "logs", [SOUND[6]]).rows
    row["metadata"]["kind"] = "regime_classification"
    details = {failure.detail for failure in check_rows([row])}
    assert "it quotes notes, which no question of its kind does" in details


def test_a_score_out_of_bounds_and_another_regime_are_no_true_rows(tmp_path):
    (row,) = take(tmp_path / "logs", [SOUND[6]]).rows
    answer = json.loads(row["messages"][2]["content"])
    answer["regime_assessment"] = "BEAR"
    row["messages"][2]["content"] = json.dumps(answer)
    assert {failure.rule for failure in check_rows([row])} == {"regime", "grade"}
    answer["signals"][0]["score_pct"] = 101
    row["messages"][2]["content"] = json.dumps(answer)
    assert {failure.rule for failure in check_rows([row])} == {"schema"}
