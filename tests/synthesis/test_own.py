"""A user's own rows and pairs join ours: proven where they say what they are about."""

import json

import pytest

from tasks.core.errors import RequestError
from tasks.core.files.json_files import write_lines
from tasks.core.kinds.base import system_prompt
from tasks.core.settings.synthesis import Synthesis
from tasks.core.synthesis.own import OWN, own_pairs, own_rows, require_file

ROW = {
    "messages": [
        {"role": "user", "content": "What is a hedge?"},
        {"role": "assistant", "content": "A position that gains when the book loses."},
    ]
}
PAIR = {"prompt": "What is a hedge?", "chosen": "A position against losses.", "rejected": "A bush."}


def letters(texts: list[str]) -> list[int]:
    return list(map(len, texts))


def read(tmp_path, *rows, budget=5_000):
    file = tmp_path / "own.jsonl"
    write_lines(file, rows)
    return own_rows(Synthesis(own=str(file), token_budget=budget), letters)


def test_a_row_without_a_system_message_gets_the_strategy_prompt_of_its_language(tmp_path):
    korean = json.loads(json.dumps(ROW).replace("What is a hedge?", "헤지가 뭐야?"))
    english, in_korean = read(tmp_path, ROW, korean)
    assert english["messages"][0] == {"role": "system", "content": system_prompt("en")}
    assert in_korean["messages"][0]["content"] == system_prompt("ko")
    assert english["metadata"]["kind"] == OWN and english["metadata"]["scene"] is None


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"messages": ROW["messages"][:1]}, "roles are user"),
        ({"messages": ROW["messages"][::-1]}, "roles are assistant, user"),
        ({"text": "a hedge"}, "row 2"),
        (PAIR | {"prompt": [], "chosen": []}, "row 2"),
        ({"messages": [*ROW["messages"][:1], {"role": "assistant", "content": " "}]}, "is empty"),
    ],
)
def test_a_row_that_cannot_be_trained_on_is_named(tmp_path, row, told):
    with pytest.raises(RequestError, match=told):
        read(tmp_path, ROW, row)


def test_a_row_over_the_token_budget_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"row 1 has .* tokens, and synthesis.token_budget=10"):
        read(tmp_path, ROW, budget=10)


def test_a_row_that_says_what_it_is_about_is_proven(tmp_path, rows):
    row = rows[0]
    [kept] = read(tmp_path, row)
    assert kept["metadata"]["scene"] == row["metadata"]["scene"]
    wrong = json.loads(json.dumps(row))
    answer = json.loads(wrong["messages"][2]["content"])
    answer["working"][0] = answer["working"][0].replace("return", "the return")
    wrong["messages"][2]["content"] = json.dumps(answer, ensure_ascii=False)
    with pytest.raises(RequestError, match=r"row 1 is not true: working"):
        read(tmp_path, wrong)


def test_pairs_may_be_texts_or_messages(tmp_path):
    file = tmp_path / "pairs.jsonl"
    as_messages = {
        part: [{"role": "user" if part == "prompt" else "assistant", "content": text}]
        for part, text in PAIR.items()
    }
    write_lines(file, [PAIR, as_messages])
    first, second = own_pairs(file)
    assert {part: first[part] for part in PAIR} == {part: second[part] for part in PAIR}
    assert first["metadata"]["flaw"] == OWN


def test_a_pair_of_equal_answers_is_refused(tmp_path):
    file = tmp_path / "pairs.jsonl"
    write_lines(file, [PAIR | {"rejected": PAIR["chosen"]}])
    with pytest.raises(RequestError, match="chosen and rejected are the same"):
        own_pairs(file)


def test_a_file_that_is_not_there_is_said_at_once(tmp_path):
    with pytest.raises(RequestError, match=r"synthesis.own=nowhere.jsonl: there is no such file"):
        require_file("synthesis.own", "nowhere.jsonl")
