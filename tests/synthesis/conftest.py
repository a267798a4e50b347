"""A few rows, pairs and questions from the demo market, made once."""

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from tasks.core.evaluation.questions import build_questions
from tasks.core.market.artifact import build_market
from tasks.core.market.demo import ensure_demo_market
from tasks.core.settings.tree import Evaluation, Market, Pairs, Synthesis
from tasks.core.synthesis.generate import synthesize
from tasks.core.synthesis.pairs import build_pairs


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder with rows.jsonl, questions.jsonl and pairs/pairs.jsonl, with their reports."""
    folder, out = tmp_path_factory.mktemp("market"), tmp_path_factory.mktemp("made")
    ensure_demo_market(folder / "daily")
    build_market(folder / "daily", Market(), folder)
    words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))  # a token for every run of letters
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(folder / "tokenizer.json"))
    synthesize(folder / "train", folder / "tokenizer.json", Synthesis(rows=96), out)
    (out / "pairs").mkdir()
    build_pairs(out / "rows.jsonl", Pairs(rows=40), out / "pairs")
    build_questions(folder / "holdout", Evaluation(questions=24), out)
    return out
