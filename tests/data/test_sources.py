"""Your own rows and reasoning logs as sources: off unless given, then with a share; every row
counted.
"""

import json
import unicodedata
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.core.data.cleaning import repair
from tasks.core.data.download import fetch_source, fingerprints
from tasks.core.data.normalize import normalize
from tasks.core.data.sources import SOURCES
from tasks.core.data.sources.shares import shares_of
from tasks.core.errors import RequestError
from tasks.core.files.digests import digest_file
from tasks.core.settings.data import Data
from tasks.core.settings.tree import Model

STRATEGY = "You are the strategy analyst."
TOOLS = Path(__file__).parents[3] / "shared/data/tool_calling"


def run(folder, data):
    """Fetches the settings' added sources and normalizes them alone."""
    for source in shares_of(data):
        fetch_source(source, data, folder, folder / "cache", lambda share, text: None)
    normalize(folder / "sources", STRATEGY, data, folder, lambda share, text: None)
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return pq.read_table(folder / "rows.parquet").to_pylist(), report


def write_lines(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(file)


def test_an_added_source_takes_its_share_from_all_five(tmp_path):
    assert [source.name for source in shares_of(Data())] == [source.name for source in SOURCES]
    shares = {
        s.name: share
        for s, share in shares_of(Data(own="x.csv", own_share=0.5, reasoning_logs="y")).items()
    }
    assert shares["own"] == 0.5 and shares["reasoning_logs"] == 0.05
    assert shares["finance_instruct"] == pytest.approx(0.4 * 0.45) and sum(
        shares.values()
    ) == pytest.approx(1)
    assert [source.name for source in shares_of(Data(own="x.csv", own_share=1))] == ["own"]
    with pytest.raises(
        RequestError,
        match=r"data\.own_share=1, data\.reasoning_logs_share=0\.05: together more than 1",
    ):
        shares_of(Data(own="x.csv", own_share=1, reasoning_logs="y"))


def test_own_rows_by_a_column_map_with_columns_carried_along(tmp_path):
    rows = [
        {"question": " q ", "reply": "a", "tools": [{"name": "f"}], "topic": "t", "persona": "\n"},
        {"question": "q2", "reply": "a2", "tools": '[{"name":  "g"}]', "persona": "p"},
        {"question": "q3", "reply": None},
    ]
    own = write_lines(tmp_path / "mine.jsonl", rows)
    data = Data(
        rows=3,
        own=own,
        own_share=1,
        own_user="question",
        own_assistant="reply",
        own_system="persona",
    )
    taken, report = run(tmp_path, data)
    found = {row["messages"][1]["content"]: row for row in taken}
    assert {m["role"]: m["content"] for m in found["q"]["messages"]} == {
        "system": STRATEGY,
        "user": "q",
        "assistant": "a",
    }
    assert found["q2"]["messages"][0]["content"] == "p"
    assert found["q2"]["tools"] == '[{"name":  "g"}]' and json.loads(found["q"]["tools"]) == [
        {"name": "f"}
    ]
    assert found["q"]["dialogue"] is None and "topic" not in found["q"]
    assert report["rows_in"] == 3 and report["dropped"] == {"null in reply": 1}


GOOD = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]


@pytest.mark.parametrize(
    "row",
    [
        {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
        {"messages": [{"from": "human", "value": "q"}, {"role": "model", "content": "a"}]},
        {"messages": [GOOD[0], {"role": "assistant", "content": [{"type": "text", "text": "a"}]}]},
        {"conversation": repr(GOOD)},
        json.dumps({"messages": GOOD}),
    ],
)
def test_conversations_are_read_in_the_forms_that_people_save(tmp_path, row):
    own = write_lines(tmp_path / "mine.jsonl", [row])
    taken, _ = run(tmp_path, Data(rows=1, own=own, own_share=1))
    assert taken[0]["messages"][1:] == GOOD


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("cafÃ©", "café"),
        ("MÃ¼nchen", "München"),
        ("SÃ£o Paulo", "São Paulo"),
        ("¿Él viene?", "¿Él viene?"),
        ("¿Ésta?", "¿Ésta?"),
    ],
)
def test_european_text_is_not_taken_for_korean(text, kept):
    assert repair(text) == kept


def test_a_developer_is_a_system(tmp_path):
    rows = [{"messages": [{"role": "developer", "content": "s"}, *GOOD]}]
    own = write_lines(tmp_path / "mine.jsonl", rows)
    taken, _ = run(tmp_path, Data(rows=1, own=own, own_share=1))
    assert taken[0]["messages"][0] == {"role": "system", "content": "s"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("\u3164", "blank in assistant"),
        ("\u200b\u00a0", "blank in assistant"),
        ("nan", "nan for a missing value in assistant"),
        ("값은 \ufffd\ufffd", "lost character (U+FFFD) in assistant"),
        ("a<|im_end|>\n<|im_start|>user\nb", "special token of a chat template in assistant"),
        ("a</s>", "special token of a chat template in assistant"),
    ],
)
def test_answers_that_teach_nothing_or_harm_are_dropped_with_an_example(tmp_path, answer, reason):
    rows = [{"user": "q", "assistant": "a"}, {"user": "seen", "assistant": answer}]
    own = write_lines(tmp_path / "mine.jsonl", rows)
    taken, report = run(tmp_path, Data(rows=1, own=own, own_share=1))
    assert len(taken) == 1
    assert report["dropped"] == {reason: 1}
    assert "seen" in report["sources"]["own"]["examples"][reason]


def test_korean_read_as_latin1_is_mended_and_french_is_left(tmp_path):
    korean = "0번째 질문: 지수가 -3% 움직였습니다."
    rows = [
        {"user": korean.encode("cp949").decode("latin-1"), "assistant": "\ufeff답\u200b"},
        {"user": "Où est l'été à Nîmes ?", "assistant": "ÀÉÎÕÜ"},
        {"user": unicodedata.normalize("NFD", "국면은?"), "assistant": "약세"},
    ]
    own = write_lines(tmp_path / "mine.jsonl", rows)
    taken, report = run(tmp_path, Data(rows=3, own=own, own_share=1))
    said = [[message["content"] for message in row["messages"][1:]] for row in taken]
    assert sorted(said) == sorted(
        [[korean, "답"], ["Où est l'été à Nîmes ?", "ÀÉÎÕÜ"], ["국면은?", "약세"]]
    )
    assert report["sources"]["own"]["repaired"] == 2


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([*GOOD, GOOD[0]], "no answer at the end of messages"),
        (GOOD[1:], "no question at the start of messages"),
        ([GOOD[0], {"role": "assistant", "tool_calls": [{"id": 1}]}], "a tool call and no tools"),
        ([GOOD[0], {"role": "assistant", "content": None}], "null in messages"),
        ([{"role": "narrator", "content": "q"}, GOOD[1]], "unknown role in messages"),
        ([*GOOD, {"role": "system", "content": "s"}, *GOOD], "second system prompt in messages"),
        ([GOOD[0], {**GOOD[1], "weight": 0}], "answer of weight 0 in messages"),
        ([], "no question at the start of messages"),
        ('[{{"role": "user"}}]', "neither JSON nor Python's form of it in messages"),
        ("[{", "neither JSON nor Python's form of it in messages"),
        ({"role": "user"}, "not a list of messages in messages"),
    ],
)
def test_own_conversations_need_no_map_and_faulty_ones_are_counted(tmp_path, messages, reason):
    long = [{"role": "system", "content": "s"}, *GOOD, {"role": "user", "content": "more"}, GOOD[1]]
    own = write_lines(
        tmp_path / "mine.jsonl",
        [{"messages": long}, {"messages": json.dumps(GOOD)}, {"messages": messages}],
    )
    taken, report = run(tmp_path, Data(rows=5, own=own, own_share=1))
    assert sorted(len(row["messages"]) for row in taken) == [3, 5]
    assert next(row["messages"] for row in taken if len(row["messages"]) == 5) == long
    assert report["dropped"] == {reason: 1}


def test_own_columns_that_are_not_there_are_refused_with_the_settings(tmp_path):
    own = write_lines(tmp_path / "mine.jsonl", [{"question": "q", "assistant": "a"}])
    with pytest.raises(
        RequestError,
        match=r"no column messages or .* or user.* data\.own_user=COLUMN data\.own_assistant=",
    ):
        run(tmp_path, Data(own=own, own_share=1))
    with pytest.raises(RequestError, match=r"no column persona, which own needs"):
        run(tmp_path, Data(own=own, own_share=1, own_user="question", own_system="persona"))
    with pytest.raises(
        RequestError, match=r"own_keep=\['source'\]: rows\.parquet has a source of its own"
    ):
        run(tmp_path, Data(own=own, own_share=1, own_keep=["source"]))
    with pytest.raises(RequestError, match=r"data\.own=demo is not there"):
        run(tmp_path, Data(own="demo", own_share=1))


@pytest.mark.skipif(not TOOLS.exists(), reason="needs ../shared/data/tool_calling")
def test_real_tool_calling_rows_are_trained_with_their_tools(tmp_path):
    for name, count in (("gennx_tool_calling_samples", 10), ("elem_training_samples", 15)):
        own = str(TOOLS / f"{name}.jsonl")
        taken, report = run(tmp_path / name, Data(rows=count, own=own, own_share=1))
        assert report["dropped"] == {} and len(taken) == count
        for row in taken:
            system, _, called = row["messages"][:3]
            assert "<tools>" in system["content"] and "<tool_call>" in called["content"]


LOG = {
    "task": "Assess the market",
    "timestamp": "2025-03-04T09:01:02",
    "reasoning": "Breadth is thin.",
    "signals": [{"ticker": "005930", "score": 0.4}],
    "confidence": 0.8,
    "metadata": {"latency_ms": 900, "market_context": {"breadth_pct": 31}, "model": "secret-7b"},
}
LOGS = [
    (LOG, None),
    ({**LOG, "confidence": 0.69}, "confidence below 0.7"),
    ({**LOG, "confidence": 80}, "not 0 to 1 in confidence"),
    ({**LOG, "confidence": None}, "not 0 to 1 in confidence"),
    ({**LOG, "signals": []}, "fewer signals than 1"),
    ({**LOG, "signals": "BUY"}, "not a list in signals"),
    ({**LOG, "metadata": {"latency_ms": 30_001}}, "slower than 30000 ms"),
    ({**LOG, "metadata": ["x"]}, "not an object in metadata"),
    ({**LOG, "reasoning": ""}, "blank in reasoning"),
    ("{half", "not an object"),
]


def write_logs(folder):
    for number, (log, _) in enumerate(LOGS):
        file = folder / f"2025-03-{4 + number % 2:02}" / f"{number:03}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            log if isinstance(log, str) else json.dumps(log, indent=2), encoding="utf-8"
        )
    return str(folder)


def test_reasoning_logs_become_rows_filtered_for_named_reasons(tmp_path):
    data = Data(rows=9, reasoning_logs=write_logs(tmp_path / "logs"), reasoning_logs_share=1)
    taken, report = run(tmp_path, data)
    assert report["dropped"] == dict(
        sorted(Counter(reason for _, reason in LOGS if reason).items())
    )
    system, user, assistant = (message["content"] for message in taken[0]["messages"])
    assert len(taken) == 1 and system == STRATEGY
    assert user == 'Assess the market\n\n2025-03-04\n\n{"breadth_pct": 31}'
    assert json.loads(assistant) == {
        "analysis": "Breadth is thin.",
        "signals": LOG["signals"],
        "confidence": 0.8,
    }
    loose = data.model_copy(
        update={
            "reasoning_min_confidence": 0.5,
            "reasoning_min_signals": 0,
            "reasoning_max_latency_ms": 0,
        }
    )
    assert len(run(tmp_path / "loose", loose)[0]) == 4


def test_reasoning_logs_are_known_by_content_and_a_wrong_folder_is_refused(tmp_path):
    data = Data(reasoning_logs=write_logs(tmp_path / "logs"), reasoning_logs_share=1)
    before = fingerprints(Model(base="demo"), data, tmp_path, digest_file)
    assert set(before) == {"base", "reasoning_logs"}
    (tmp_path / "logs/2025-03-04/900.json").write_text("{}", encoding="utf-8")
    assert fingerprints(Model(base="demo"), data, tmp_path, digest_file) != before
    with pytest.raises(
        RequestError, match=r"data\.reasoning_logs=.*2025-03-04 holds no DATE/\*\.json"
    ):
        run(tmp_path, data.model_copy(update={"reasoning_logs": str(tmp_path / "logs/2025-03-04")}))
    with pytest.raises(RequestError, match=r"nowhere is no folder\. Name the folder of the days"):
        run(tmp_path, data.model_copy(update={"reasoning_logs": str(tmp_path / "nowhere")}))


def test_near_duplicates_go_only_if_asked(tmp_path):
    words = [f"word{n}" for n in range(300)]
    texts = [" ".join(words), " ".join(["another", *words[1:]]), " ".join(reversed(words))]
    own = write_lines(tmp_path / "mine.jsonl", [{"user": text, "assistant": "a"} for text in texts])
    assert len(run(tmp_path / "all", Data(rows=9, own=own, own_share=1))[0]) == 3
    taken, report = run(tmp_path / "few", Data(rows=9, own=own, own_share=1, near_duplicates=0.8))
    assert report["dropped"] == {"near duplicate": 1}
    assert {row["messages"][1]["content"] for row in taken} == {texts[0], texts[2]}
