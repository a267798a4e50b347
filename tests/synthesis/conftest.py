"""A market, and a few rows, pairs and questions from it, made once."""

import pytest

from tasks.core.evaluation.questions import build_questions
from tasks.core.settings.tree import Evaluation, Pairs
from tasks.core.synthesis.pairs import build_pairs
from tests.synthetic import demo_market, synthetic_rows


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder with rows.jsonl, questions.jsonl and pairs/pairs.jsonl, with their reports."""
    folder = tmp_path_factory.mktemp("made")
    market = demo_market(folder)
    out = folder / "out"
    synthetic_rows(market / "train", out, rows=96)
    (out / "pairs").mkdir()
    build_pairs(out / "rows.jsonl", out / "tokenizer.json", Pairs(rows=40), out / "pairs")
    build_questions(market / "holdout", Evaluation(questions=24), out)
    return out


@pytest.fixture(scope="package")
def train(tmp_path_factory):
    """The training part of the demo market."""
    return demo_market(tmp_path_factory.mktemp("market")) / "train"


@pytest.fixture(scope="package")
def rows(train, tmp_path_factory):
    """200 rows, which no test may change."""
    return synthetic_rows(train, tmp_path_factory.mktemp("rows") / "out", rows=200)
