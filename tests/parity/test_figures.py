"""A hop's figures: known divergences, errors that count prompts, graded replies."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.core.parity.figures import mean_of, read_figures
from tasks.core.parity.hop import free_reply, measure
from tasks.core.parity.prompts import Rows, choose_prompts
from tests.release.conftest import silent

END = 2


class Table:
    """A model whose next token depends on the last one only: a row of logits for each."""

    def __init__(self, logits):
        self.logits = logits

    def feed(self, keep, tokens, wanted):
        return self.logits[tokens[-wanted:]]

    def ends(self, token):
        return token == END


@pytest.fixture(scope="module")
def prompts(tokenizer_dir, strategy):
    return choose_prompts(Rows(strategy), tokenizer_dir)


@pytest.fixture
def logits():
    return np.random.default_rng(3).normal(size=(400, 400)).astype(np.float32) * 3


def measured(logits, prompts, folder, name):
    measure(Table(logits), prompts, folder, name, silent)


def test_the_same_model_parts_from_itself_nowhere(logits, prompts, tokenizer_dir, tmp_path):
    for name in ("adapter", "merge"):
        measured(logits, prompts, tmp_path, name)
    figures = read_figures(tmp_path, "merge", prompts, tokenizer_dir)
    assert figures.kl_mean.value == figures.kl_high == 0
    assert figures.same_top.value == figures.replies.greedy.value == 1
    assert figures.replies.grade.value < 0.5


def test_the_divergence_is_a_little_less_than_the_whole_vocabularys(
    logits, prompts, tokenizer_dir, tmp_path
):
    others = logits + np.random.default_rng(4).normal(size=logits.shape) * 0.3
    measured(logits, prompts, tmp_path, "adapter")
    measured(others, prompts, tmp_path, "merge")
    figures = read_figures(tmp_path, "merge", prompts, tokenizer_dir)
    tokens = []
    for prompt in prompts.prompts:
        tokens += (prompt.tokens + prompt.answer)[len(prompt.tokens) - 1 : -1]
    p, q = log_softmax(logits)[tokens], log_softmax(others)[tokens]
    exact = (np.exp(p) * (p - q)).sum(axis=1).mean()
    assert 0.9 * exact < figures.kl_mean.value <= exact
    assert 0 < figures.kl_mean.error < figures.kl_mean.value


def log_softmax(logits):
    wide = logits.astype(float)
    return wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))


def test_a_draft_changes_no_reply(logits, prompts, tmp_path):
    """The other hops' drafts are the reference's replies, its own the right answers."""
    for prompt in prompts.answered:
        alone = free_reply(Table(logits), prompt, [])
        assert free_reply(Table(logits), prompt, prompt.answer) == alone
        assert free_reply(Table(logits), prompt, alone.tokens) == alone
        assert free_reply(Table(logits), prompt, alone.tokens[:3]) == alone
        assert len(alone.tokens) <= prompt.most_tokens


class Script:
    """A model that writes one reply whatever it reads, and counts how often it is asked."""

    def __init__(self, prompt, reply):
        self.whole = [*prompt.tokens, *reply, END]
        self.calls = 0

    def feed(self, keep, tokens, wanted):
        self.calls += 1
        last = keep + len(tokens)
        return np.eye(400)[(self.whole + [END] * last)[last - wanted + 1 : last + 1]]

    def ends(self, token):
        return token == END


def test_a_reply_comes_back_to_a_draft_that_it_left_by_a_longer_number(prompts):
    prompt = replace(prompts.answered[0], tokens=[5, 6, 7], most_tokens=80)
    draft = list(range(100, 140))
    reply = [*draft[:10], 300, 301, *draft[11:]]
    script = Script(prompt, reply)
    written = free_reply(script, prompt, draft)
    assert (written.tokens, written.ended) == (reply, True)
    assert script.calls <= 12  # 31 if the rest was written token by token


def test_a_mean_has_its_standard_error():
    estimate = mean_of([0.0, 1.0, 1.0, 0.0])
    assert estimate.value == 0.5
    assert estimate.error == pytest.approx(0.2887, abs=1e-4)
    assert mean_of([]) is None
