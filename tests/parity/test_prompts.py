"""The prompts of a proof: every kind in both languages, of rows that were trained, as training cuts
them into tokens.
"""

import shutil
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet
import pytest

from tasks.core.errors import WorkError
from tasks.core.kinds import KINDS
from tasks.core.parity.prompts import (
    PROMPTS,
    SCORED_TOKENS,
    WHOLE_TOKENS,
    Rows,
    choose_prompts,
    read_prompts,
    write_prompts,
)
from tests.tiny import chat_rows, make_tokenizer


@pytest.fixture(scope="module")
def finance(tmp_path_factory):
    file = tmp_path_factory.mktemp("rows") / "rows.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(chat_rows(120)), file)
    return file


def test_every_kind_is_asked_a_third_in_the_dearer_language_and_stage_1_fills_up(
    strategy, finance, tokenizer_dir
):
    chosen = choose_prompts(Rows(strategy, finance), tokenizer_dir)
    assert len(chosen.prompts) == PROMPTS
    named = [prompt.name.split()[1:] for prompt in chosen.prompts if prompt.kind]
    assert sorted(kind for kind, _ in named) == sorted(kind.name for kind in KINDS)
    assert [language for _, language in named].count("ko") == len(KINDS) / 3


def test_without_stage_1_the_strategys_rows_are_all(strategy, tokenizer_dir):
    chosen = choose_prompts(Rows(strategy), tokenizer_dir)
    assert len(chosen.prompts) == 2 * 2 * len(KINDS)
    named = {tuple(prompt.name.split()[1:]) for prompt in chosen.prompts}
    assert named == {(kind.name, language) for kind in KINDS for language in ("ko", "en")}


def test_answers_are_scored_whole_or_from_their_beginning(strategy, finance, tokenizer_dir):
    chosen = choose_prompts(Rows(strategy, finance), tokenizer_dir)
    for prompt in chosen.prompts:
        if prompt.whole:
            assert prompt.answer[-1] == chosen.end
            assert prompt.most_tokens or len(prompt.answer) <= WHOLE_TOKENS
        else:
            assert len(prompt.answer) == SCORED_TOKENS
    assert chosen.answered
    assert all(prompt.kind and prompt.whole for prompt in chosen.answered)


def test_the_tokens_are_the_training_tokenizers(finance, tokenizer_dir):
    tokenizer = make_tokenizer()
    chosen = choose_prompts(Rows(finance=finance), tokenizer_dir)
    for prompt in chosen.prompts:
        assert prompt.tokens == tokenizer(prompt.text, add_special_tokens=False)["input_ids"]
        assert prompt.text == tokenizer.apply_chat_template(
            prompt.messages, tokenize=False, add_generation_prompt=True
        )


def test_neighbours_share_their_beginnings(strategy, tokenizer_dir):
    tokens = [prompt.tokens for prompt in choose_prompts(Rows(strategy), tokenizer_dir).prompts]
    assert tokens == sorted(tokens)


def test_they_are_the_same_every_time_and_survive_their_file(strategy, tokenizer_dir, tmp_path):
    chosen = choose_prompts(Rows(strategy), tokenizer_dir)
    write_prompts(chosen, tmp_path / "prompts.json")
    assert read_prompts(tmp_path / "prompts.json") == chosen
    assert choose_prompts(Rows(strategy), tokenizer_dir) == chosen


def test_rows_without_an_answer_are_refused(tokenizer_dir, tmp_path):
    question = {"messages": [{"role": "user", "content": "?"}]}
    file = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.Table.from_pylist([question]), file)
    with pytest.raises(WorkError, match="No row of the training has an answer"):
        choose_prompts(Rows(finance=file), tokenizer_dir)


def test_rows_that_the_template_refuses_are_not_asked(finance, tokenizer_dir, tmp_path):
    folder = Path(shutil.copytree(tokenizer_dir, tmp_path / "tokenizer"))
    template = folder / "chat_template.jinja"
    refusal = "{% if messages[0].role != 'system' %}{{ raise_exception('no') }}{% endif %}"
    template.write_text(refusal + template.read_text())
    chosen = choose_prompts(Rows(finance=finance), folder)
    assert 0 < len(chosen.prompts) < PROMPTS
    assert {prompt.messages[0]["role"] for prompt in chosen.prompts} == {"system"}
    assert chosen.longest > 0


def test_an_end_of_answer_that_the_tokenizer_lacks_is_refused(strategy, tokenizer_dir, tmp_path):
    folder = Path(shutil.copytree(tokenizer_dir, tmp_path / "tokenizer"))
    config = folder / "tokenizer_config.json"
    config.write_text(config.read_text().replace("<|im_end|>", "<|none|>"))
    with pytest.raises(WorkError, match=r"has no token '<\|none\|>', its EOS"):
        choose_prompts(Rows(strategy), folder)
