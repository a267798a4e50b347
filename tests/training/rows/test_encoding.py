"""Which tokens are trained; and that tokens are made once for a stage, whoever resumes it."""

from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tasks.core.errors import WorkError
from tasks.core.training.rows import encoding
from tasks.core.training.rows.encoding import encode_chats, encode_once, encode_rows
from tasks.core.training.rows.files import RowFile
from tasks.core.training.rows.records import IGNORED
from tests.tiny import CHATML, chat_rows, make_tokenizer, preference_pairs, write_jsonl
from tests.training.encoded import plain

TURNS = [
    {"role": "user", "content": "시장은?"},
    {"role": "assistant", "content": "약세다 📉"},
    {"role": "user", "content": "and now?"},
    {"role": "assistant", "content": "hold"},
]
COMPOSED = ("a\u0301", "\u110b\u1163", "\U0001f469\u200d\U0001f467")
ODD = ("", " ", "\n", "\n\n", "끝 ", " 끝", "📉📈", "<|im_end|>", *COMPOSED)


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def lists(chat) -> tuple[list[int], list[int]]:
    return chat.input_ids.tolist(), chat.labels.tolist()


def runs_of(tokenizer, labels):
    text = tokenizer.decode(
        [label if label != IGNORED else tokenizer.pad_token_id for label in labels]
    )
    return [run for run in text.split("<|endoftext|>") if run]


@pytest.fixture
def alternating():
    """A tokenizer whose template refuses two turns of one role."""
    tokenizer = make_tokenizer()
    tokenizer.chat_template = CHATML.replace(
        "{%- for message in messages %}",
        "{%- for message in messages %}"
        "{% if loop.index > 1 and message.role == loop.previtem.role %}"
        "{{ raise_exception('Roles must alternate') }}{% endif %}",
    )
    return tokenizer


def test_a_chat_that_the_template_refuses_has_no_tokens_and_is_shown(alternating, caplog):
    refused = [TURNS[0], *TURNS]
    encoded = list(encode_chats(alternating, [TURNS, refused, TURNS, refused]))
    assert [chat.positions > 0 for chat in encoded] == [True, False, True, False]
    assert lists(encoded[0]) == lists(encoded[2])
    [record] = caplog.records
    assert "refuses a row (Roles must alternate)" in record.message
    assert "user: '시장은?', user: '시장은?', assistant:" in record.message


def test_a_pair_is_refused_with_either_of_its_answers(alternating):
    answer, twice = [TURNS[1]], [TURNS[1], TURNS[1]]
    pairs = [
        {"prompt": [TURNS[0]], "chosen": chosen, "rejected": rejected}
        for chosen, rejected in ((answer, answer), (answer, twice), (twice, answer))
    ]
    encoded = encode_rows(alternating, pairs, "dpo", whole_text=False)
    assert [pair.positions > 0 for pair in encoded] == [True, False, False]
    assert [pair.number for pair in encoded] == [0, 1, 2]


def test_only_answers_and_their_eos_are_trained(tokenizer):
    ids, labels = lists(next(encode_chats(tokenizer, [TURNS])))
    assert tokenizer.decode(ids) == tokenizer.apply_chat_template(TURNS, tokenize=False)
    assert runs_of(tokenizer, labels) == ["약세다 📉<|im_end|>", "hold<|im_end|>"]
    assert all(label in (IGNORED, token) for token, label in zip(ids, labels, strict=True))


def byte_level() -> Tokenizer:
    """As Qwen2.5's: several tokens may share one character, and Unicode is composed first."""
    core = Tokenizer(models.BPE())
    core.normalizer = normalizers.NFC()
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return core


def sentence_pieces() -> Tokenizer:
    """As Mistral's: spaces are letters, one is put first, and what is unknown falls apart into
    bytes.
    """
    core = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    core.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    return core


@pytest.mark.parametrize("family", [byte_level, sentence_pieces])
def test_a_token_is_trained_if_all_its_characters_are_an_answers(family):
    """Whatever an answer begins and ends with, and where tokens reach across its borders."""
    core = family()
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)] if family is sentence_pieces else []
    core.train_from_iterator(
        ["a\n끝b\n끝c\n끝d\n 끝e\n 끝f\nhold\n\n\ng\n\n"] * 3,
        trainers.BpeTrainer(
            vocab_size=700,
            special_tokens=["<unk>", *bytes_],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if family is byte_level else [],
            show_progress=False,
        ),
    )
    core.add_special_tokens(
        [AddedToken("<|im_end|>", special=True), AddedToken("<|pad|>", special=True)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|pad|>"
    )
    tokenizer.chat_template = CHATML
    chats = [[*TURNS[:1], {"role": "assistant", "content": odd}, *TURNS[2:]] for odd in ODD]
    across = 0
    for chat, encoded in zip(chats, encode_chats(tokenizer, chats), strict=True):
        text, spans = tokenizer.apply_chat_template(chat, tokenize=False), []
        for turn in (1, 3):
            start = len(
                tokenizer.apply_chat_template(
                    chat[:turn], tokenize=False, add_generation_prompt=True
                )
            )
            spans.append((start, start + len(chat[turn]["content"] + "<|im_end|>")))
        tokens = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        places = tokens["offset_mapping"]
        inside = [
            any(start <= first and last <= end for start, end in spans) for first, last in places
        ]
        wanted = [
            token if ok else IGNORED for token, ok in zip(tokens["input_ids"], inside, strict=True)
        ]
        assert lists(encoded) == (tokens["input_ids"], wanted)
        across += sum(first < start < last for first, last in places for start, _ in spans)
    assert across, "no token reached across a border"


def test_the_prompt_of_a_trained_answer_is_what_serving_renders(tokenizer):
    """The inserted system message and the header of the assistant's turn are in it, as at
    inference.
    """
    ids, labels = lists(next(encode_chats(tokenizer, [TURNS[:2]])))
    first = next(place for place, label in enumerate(labels) if label != IGNORED)
    assert (
        ids[:first]
        == tokenizer.apply_chat_template(TURNS[:1], add_generation_prompt=True)["input_ids"]
    )


def test_whole_text_trains_every_token(tokenizer):
    (row,) = encode_rows(tokenizer, [{"messages": TURNS}], "sft", whole_text=True)
    ids, labels = lists(row)
    assert labels == ids
    assert row.positions == len(ids)


def test_both_answers_of_a_pair_stand_behind_the_same_prompt(tokenizer):
    pairs = preference_pairs(3)
    for pair, row in zip(
        pairs, encode_rows(tokenizer, pairs, "dpo", whole_text=False), strict=True
    ):
        for side in ("chosen", "rejected"):
            text = tokenizer.apply_chat_template([*pair["prompt"], *pair[side]], tokenize=False)
            ids = plain(row)
            answer = ids[f"{side}_ids"]
            assert tokenizer.decode(ids["prompt_ids"] + answer) == text.rstrip("\n")
            assert answer[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("message['content'] + '<|im_end|>'", "message['content']", "without EOS '<|im_end|>'"),
        (
            "message['content'] + '<|im_end|>'",
            "message['content'] | upper + '<|im_end|>'",
            "renders the answer 'hold'",
        ),
        (
            "{{- '<|im_start|>assistant\\n' }}",
            "{{- '<|im_start|>model\\n' }}",
            "does not extend the prompt",
        ),
    ],
)
def test_a_template_that_training_and_serving_read_differently_is_refused(
    tokenizer, old, new, problem
):
    other = make_tokenizer()
    assert old in other.chat_template
    other.chat_template = other.chat_template.replace(old, new)
    with pytest.raises(WorkError, match=problem):
        next(
            encode_chats(
                other,
                [[{"role": "user", "content": "a"}, {"role": "assistant", "content": "hold"}]],
            )
        )


@pytest.fixture
def once(tokenizer, tmp_path, monkeypatch):
    """once(rows, method, read): as a stage asks for them; `once.made` tells how often tokens were
    made.
    """

    def ask(rows, method="sft", read="rows"):
        file = RowFile(write_jsonl(tmp_path / "rows.jsonl", rows), method)
        return list(map(plain, encode_once(tmp_path, {"read": read}, tokenizer, file, False)))

    def count(*given):
        ask.made += 1
        return encode_chats(*given)

    ask.made = 0
    monkeypatch.setattr(encoding, "encode_chats", count)
    return ask


@pytest.mark.parametrize(("method", "make"), [("sft", chat_rows), ("dpo", preference_pairs)])
def test_tokens_are_made_once(tokenizer, once, monkeypatch, method, make):
    """Of any number of rows at a time they are the same, and read back they are what was made."""
    rows = make(20)
    right = list(map(plain, encode_rows(tokenizer, rows, method, whole_text=False)))
    once.made = 0
    monkeypatch.setattr(encoding, "_CHARACTERS_AT_ONCE", 300)
    monkeypatch.setattr(encoding, "_CHATS_AT_ONCE", 3)
    assert [once(rows, method) for _ in range(3)] == [right] * 3
    assert once.made == 1


def test_tokens_of_other_files_are_not_taken(once):
    assert once(chat_rows(3), read="some") != once(chat_rows(3, seed=9), read="others")
    assert once.made == 2


def test_damaged_tokens_and_what_a_killed_process_left_are_made_anew(once, tmp_path, caplog):
    right = once(chat_rows(9))
    (file,) = tmp_path.rglob("tokens.parquet")
    part = tmp_path / "tokens" / "unfinished" / file.parent.name
    part.mkdir(parents=True)
    Path(part / file.name).write_bytes(b"PAR1")
    file.write_bytes(file.read_bytes()[:-40] + b"\0" * 40)
    assert once(chat_rows(9)) == right
    assert (
        "the tokens kept for this stage are not used: tokens.parquet is missing or damaged"
        in caplog.text
    )
    assert once.made == 2
    assert not part.parent.exists()
