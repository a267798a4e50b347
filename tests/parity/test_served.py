"""The served hop: a template, a context, an end or a model other than the trained one is named."""

import json
from dataclasses import dataclass, replace

import pytest
from tokenizers import Tokenizer

from tasks.core.errors import WorkError
from tasks.core.parity.hop import FreeReply
from tasks.core.parity.prompts import Rows, choose_prompts
from tasks.core.parity.proof import check_served
from tasks.core.parity.served import Proof, Said, measure_served
from tests.release.conftest import silent


@dataclass
class Answering:
    """A server that answers as the quantized file did; the fields are what a fault changes."""

    replies: dict
    prompts: list
    context: int = 8192
    tail: str = ""
    read: int = 0  # tokens of a prompt, if not all
    ended: bool = True
    counted: bool = True
    likely: float = 1.0
    says: str | None = None  # in place of each reply

    def render(self, messages):
        return self.of(messages).text + self.tail

    def answer(self, messages, most_tokens):
        prompt = self.of(messages)
        read = self.read or len(prompt.tokens)
        said = self.replies[prompt.name] if self.says is None else self.says
        return Said(said, read * self.counted, self.ended)

    def of(self, messages):
        return next(prompt for prompt in self.prompts if prompt.messages == messages)


@pytest.fixture(scope="module")
def prompts(tokenizer_dir, strategy):
    return choose_prompts(Rows(strategy), tokenizer_dir)


@pytest.fixture
def asked(prompts, tokenizer_dir, tmp_path):
    """A server with the quantized file, whose own replies are the right answers."""
    tokenizer = Tokenizer.from_file(str(tokenizer_dir / "tokenizer.json"))
    replies = [FreeReply(prompt.name, prompt.answer[:-1], True) for prompt in prompts.answered]
    for name in ("adapter", "quantize"):
        (tmp_path / f"{name}.json").write_text(json.dumps([vars(reply) for reply in replies]))
    texts = {reply.name: tokenizer.decode(reply.tokens) for reply in replies}
    return Answering(texts, prompts.prompts)


def verdict(asked, prompts, tokenizer_dir, folder):
    proof = Proof(prompts, folder, tokenizer_dir, lambda replies: asked.likely)
    figures = measure_served(asked, proof, silent)
    check_served([figures])
    return figures


def test_the_right_model_passes(asked, prompts, tokenizer_dir, tmp_path):
    figures = verdict(asked, prompts, tokenizer_dir, tmp_path)
    assert figures.replies.greedy.value == figures.replies.grade.value == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"context": 100}, r"the context is 100 tokens and the longest row .* has \d+ \(set "),
        ({"tail": " "}, "48 of 48 prompts are rendered otherwise than in training"),
        ({"read": 64}, "as 64 tokens where training has"),
        ({"ended": False}, "does not stop at its end token"),
        ({"counted": False}, "breaks off its reply to .*, and the quantized file's own reply"),
        ({"says": " \n"}, "reply to .* is empty and the quantized file's own is not"),
        ({"likely": 0.4}, r"finds 40 % of the served tokens as likely as .* \(at least 90 %\)"),
    ],
)
def test_a_fault_is_named(asked, prompts, tokenizer_dir, tmp_path, fault, words):
    with pytest.raises(
        WorkError, match=rf"parts from it at serve \(quantized → served\): .*{words}"
    ):
        verdict(replace(asked, **fault), prompts, tokenizer_dir, tmp_path)


def test_a_model_that_repeats_itself_is_broken_off(asked, prompts, tokenizer_dir, tmp_path):
    """It passes if the quantized file's own replies are so too: it is the model that was made."""
    stuck = [FreeReply(prompt.name, [40] * 32, False) for prompt in prompts.answered]
    (tmp_path / "quantize.json").write_text(json.dumps([vars(reply) for reply in stuck]))
    verdict(replace(asked, counted=False), prompts, tokenizer_dir, tmp_path)


def test_a_model_that_says_white_space_only_is_that_model(asked, prompts, tokenizer_dir, tmp_path):
    tokenizer = Tokenizer.from_file(str(tokenizer_dir / "tokenizer.json"))
    white = tokenizer.encode("\n\n", add_special_tokens=False).ids
    blank = [FreeReply(prompt.name, white * 16, False) for prompt in prompts.answered]
    (tmp_path / "quantize.json").write_text(json.dumps([vars(reply) for reply in blank]))
    cut = replace(asked, says="", ended=False, likely=0.0)
    assert verdict(cut, prompts, tokenizer_dir, tmp_path).likely is None
