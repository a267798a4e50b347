"""Tokens are counted a word at a time only where the tokenizer counts the whole text alike."""

from random import Random

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from tasks.core.kinds import KINDS
from tasks.core.kinds.texts import to_text
from tasks.core.synthesis.tokens import (
    LLAMA,
    QWEN,
    Tokens,
    counts_digits_alike,
    cuts_before_spaces,
)
from tests.synthetic import made_up_days, scenes_of

SENTENCES = [
    "삼성전자(005930): beta 1.12, PER 12.3 | 등락률 -2.10%",
    '{"working": ["return -2.10: below -2; rule 1: BEAR"], "net_exposure_pct": -30}',
    "It's a day's move of +1,234억 won (KRW 12.3 bn).\nBreadth 45.2% | VIX 18",
    "e\u0301tude \u1100\u1161 ½ ² 　x",
]
WIDE = ["two  spaces", " before", "behind ", "a \nb", "tab\t and", "\0 nul"]


def byte_level(**kept):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, **kept)


def after(*steps):
    return pre_tokenizers.Sequence(list(steps))


def split_by(pattern, behavior="isolated"):
    return after(pre_tokenizers.Split(Regex(pattern), behavior), byte_level(use_regex=False))


CUTTING = {
    "gpt2": byte_level(),
    "prefixed": pre_tokenizers.ByteLevel(add_prefix_space=True),
    "smollm": after(pre_tokenizers.Digits(individual_digits=True), byte_level()),
    "qwen": split_by(QWEN),
    "llama3": split_by(LLAMA),
    "white space": pre_tokenizers.WhitespaceSplit(),
}
WHOLE = {
    "none": None,
    "sentencepiece": pre_tokenizers.Metaspace(),
    "other pattern": split_by(r"\S+ \S+"),
    "other behavior": split_by(QWEN, "merged_with_next"),
    "unknown beside": after(pre_tokenizers.Metaspace(), byte_level()),
}


def tokenizer_with(pre_tokenizer):
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("Ġ", "t"), ("Ġt", "h"), ("0", "0"), ("Ġ", "1"), ("ì", "Ĥ"), ("(", "0")]
    known = [*letters, *("".join(pair) for pair in merges)]
    vocabulary = {token: number for number, token in enumerate(known)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token=letters[0]))
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    return tokenizer


def rows_texts():
    """Questions and answers of every kind."""
    texts = list(SENTENCES)
    days = made_up_days()
    for kind in KINDS:
        for language in ("ko", "en"):
            for scene in scenes_of(kind, days, language, 3):
                texts += [kind.ask(scene, Random(1)), to_text(kind.answer(scene, Random(1)))]
    return texts


def whole(tokenizer, texts):
    return [len(tokenizer.encode(text, add_special_tokens=False)) for text in texts]


@pytest.mark.parametrize("name", CUTTING)
def test_words_have_as_many_tokens_as_the_whole_text(name):
    tokenizer = tokenizer_with(CUTTING[name])
    tokenizer.normalizer = normalizers.NFC()
    texts = rows_texts()
    tokens = Tokens(tokenizer, cuts_before_spaces(tokenizer))
    assert tokens.by_words
    assert tokens.counts(texts) == tokens.counts(texts) == whole(tokenizer, texts)
    for text in WIDE:
        assert tokens.counts([*SENTENCES, text]) == whole(tokenizer, [*SENTENCES, text])


@pytest.mark.parametrize("name", WHOLE)
def test_a_tokenizer_that_is_not_known_to_cut_gets_whole_texts(name):
    tokenizer = tokenizer_with(WHOLE[name])
    tokens = Tokens(tokenizer, cuts_before_spaces(tokenizer))
    assert not tokens.by_words
    assert tokens.counts(SENTENCES) == whole(tokenizer, SENTENCES)


DIGITS_ALIKE = {"smollm": True, "qwen": True, "gpt2": False, "llama3": False, "white space": False}


@pytest.mark.parametrize("name", DIGITS_ALIKE)
def test_digits_are_alike_only_where_each_is_a_token(name):
    tokenizer = tokenizer_with(CUTTING[name])
    texts = [*rows_texts(), "00 01 10 11 (01 (10", "1 2 3 0", "٣ １２"]
    assert counts_digits_alike(tokenizer) == DIGITS_ALIKE[name]
    tokens = Tokens(tokenizer, cuts_before_spaces(tokenizer), counts_digits_alike(tokenizer))
    assert tokens.counts(texts) == whole(tokenizer, texts)


def test_an_added_token_with_a_digit_makes_digits_differ():
    tokenizer = tokenizer_with(CUTTING["smollm"])
    tokenizer.add_tokens([AddedToken("day_1")])
    texts = ['"day_1": 1', '"day_2": 2']
    assert not counts_digits_alike(tokenizer)
    tokens = Tokens(tokenizer, cuts_before_spaces(tokenizer), counts_digits_alike(tokenizer))
    assert tokens.counts(texts) == whole(tokenizer, texts)


def truncate(tokenizer):
    tokenizer.enable_truncation(5)


def pad(tokenizer):
    tokenizer.enable_padding(length=50)


def put_in_lower_case(tokenizer):
    tokenizer.normalizer = normalizers.Lowercase()


def add_a_token_with_a_space(tokenizer):
    tokenizer.add_tokens([AddedToken("beta 1")])


@pytest.mark.parametrize("change", [truncate, pad, put_in_lower_case, add_a_token_with_a_space])
def test_what_reaches_beyond_a_word_gets_whole_texts(change):
    tokenizer = tokenizer_with(CUTTING["gpt2"])
    change(tokenizer)
    tokens = Tokens(tokenizer, cuts_before_spaces(tokenizer))
    assert not tokens.by_words
    assert tokens.counts(SENTENCES) == whole(tokenizer, SENTENCES)
