"""Which tokens are trained, which rows fit, and what is said about rows that cannot be used."""

import pytest

from tasks.core.errors import RequestError, WorkError
from tasks.core.training.rows import IGNORED, encode_pair, encode_sft, encode_turns, read_rows, select
from tests.tiny import chat_rows, make_tokenizer, preference_pairs, write_jsonl

TURNS = [
    {"role": "user", "content": "시장은?"},
    {"role": "assistant", "content": "약세다 📉"},
    {"role": "user", "content": "and now?"},
    {"role": "assistant", "content": "hold"},
]


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def runs_of(tokenizer, labels):
    text = tokenizer.decode([label if label != IGNORED else tokenizer.pad_token_id for label in labels])
    return [run for run in text.split("<|endoftext|>") if run]


def test_only_answers_and_their_eos_are_trained(tokenizer):
    ids, labels = encode_turns(tokenizer, TURNS)
    assert tokenizer.decode(ids) == tokenizer.apply_chat_template(TURNS, tokenize=False)
    assert runs_of(tokenizer, labels) == ["약세다 📉<|im_end|>", "hold<|im_end|>"]
    assert all(label in (IGNORED, token) for token, label in zip(ids, labels, strict=True))


def test_the_prompt_of_a_trained_answer_is_what_serving_renders(tokenizer):
    """The inserted system message and the header of the assistant's turn are in it, as at inference."""
    ids, labels = encode_turns(tokenizer, TURNS[:2])
    first = next(place for place, label in enumerate(labels) if label != IGNORED)
    assert ids[:first] == tokenizer.apply_chat_template(TURNS[:1], add_generation_prompt=True)["input_ids"]


def test_whole_text_trains_every_token(tokenizer):
    row = encode_sft(tokenizer, {"messages": TURNS}, whole_text=True)
    assert row["labels"] == row["input_ids"]
    assert row["positions"] == len(row["input_ids"])


def test_both_answers_of_a_pair_stand_behind_the_same_prompt(tokenizer):
    pair = preference_pairs(1)[0]
    row = encode_pair(tokenizer, pair)
    for side in ("chosen", "rejected"):
        text = tokenizer.apply_chat_template([*pair["prompt"], *pair[side]], tokenize=False)
        assert tokenizer.decode(row["prompt_ids"] + row[f"{side}_ids"]) == text.rstrip("\n")
        assert row[f"{side}_ids"][-1] == tokenizer.eos_token_id


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("message['content'] + '<|im_end|>'", "message['content']", "without EOS '<|im_end|>'"),
        ("message['content'] + '<|im_end|>'", "message['content'] | upper + '<|im_end|>'", "renders the answer 'hold'"),
        ("{{- '<|im_start|>assistant\\n' }}", "{{- '<|im_start|>model\\n' }}", "does not extend the prompt"),
    ],
)
def test_a_template_that_training_and_serving_read_differently_is_refused(tokenizer, old, new, told):
    other = make_tokenizer()
    assert old in other.chat_template
    other.chat_template = other.chat_template.replace(old, new)
    with pytest.raises(WorkError, match=told):
        encode_turns(other, [{"role": "user", "content": "a"}, {"role": "assistant", "content": "hold"}])


def encoded(*lengths):
    return [{"input_ids": [number] * length, "positions": length} for number, length in enumerate(lengths)]


def test_long_rows_are_left_out_whole(tokenizer):
    rows = select(encoded(10, 11, 12), max_length=11, budget=0, seed=1)
    assert sorted(row["positions"] for row in rows.train) == [10, 11]
    assert rows.left_out == {"longer than max_length": 1, "beyond the token budget": 0}


def test_rows_are_taken_in_seeded_order_while_the_budget_lasts():
    rows = encoded(*[10] * 19)
    first, again = (select(rows, 100, budget=55, seed=1) for _ in range(2))
    assert first == again
    assert first.positions == 50
    assert first.left_out["beyond the token budget"] == 14
    assert select(rows, 100, budget=55, seed=2).train != first.train


@pytest.mark.parametrize(("count", "kept"), [(19, 0), (20, 1), (350, 3), (60_000, 500)])
def test_a_hundredth_of_the_rows_is_kept_for_the_eval_loss(count, kept):
    rows = select(encoded(*[1] * count), 10, 0, 1)
    assert (len(rows.evaluation), len(rows.train)) == (kept, count - kept)


def test_no_row_that_fits_is_a_request_that_cannot_be_met():
    with pytest.raises(RequestError, match=r"No row fits training.max_length=9: the shortest of 2 has 10 tokens"):
        select(encoded(10, 12), 9, 0, 1)
    with pytest.raises(RequestError, match="No row fits the stage's token_budget of 9 positions"):
        select(encoded(10, 12), 100, 9, 1)


def test_a_line_that_is_not_json_is_named(tmp_path):
    file = write_jsonl(tmp_path / "rows.jsonl", chat_rows(2))
    file.write_text(file.read_text() + '{"messages": [\n')
    with pytest.raises(WorkError, match=r"rows.jsonl, line 3 is not JSON"):
        read_rows(file, ("messages",))


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "has no rows"), ('{"text": "a"}\n', "row 1 has no messages"), ("3\n", "row 1 has no messages")],
)
def test_a_file_without_usable_rows_is_refused(tmp_path, text, told):
    file = tmp_path / "rows.jsonl"
    file.write_text(text)
    with pytest.raises(WorkError, match=told):
        read_rows(file, ("messages",))


def test_a_damaged_parquet_is_named(tmp_path):
    file = tmp_path / "rows.parquet"
    file.write_bytes(b"PAR1 and no more")
    with pytest.raises(WorkError, match=r"rows.parquet cannot be read"):
        read_rows(file, ("messages",))
