"""The evaluate step proves, before it asks anything, that what the model was trained on is apart
from its questions.
"""

from types import SimpleNamespace

import pytest

from tasks import evaluation
from tasks.core.errors import WorkError
from tasks.core.evaluation.questions import build_questions
from tasks.core.settings.profiles import load
from tests.synthetic import demo_market, synthetic_rows


def test_training_rows_that_hold_a_question_stop_the_step(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "open_server", lambda home: pytest.fail("a model was asked"))
    market, out = demo_market(tmp_path), tmp_path / "evaluate"
    synthetic_rows(market / "train", tmp_path / "rows", rows=24)
    settings = load("demo", ()).settings
    out.mkdir()
    build_questions(market / "holdout", settings.evaluation, out)
    planted = (out / "questions.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[0]
    with (tmp_path / "rows" / "rows.jsonl").open("a", encoding="utf-8") as rows:
        rows.write(planted)
    folders = {"market": market, "synthesize": tmp_path / "rows"}
    job = SimpleNamespace(
        run=SimpleNamespace(settings=settings, home=tmp_path),
        out=out,
        reads=folders,
        folder=folders.get,
    )
    with pytest.raises(
        WorkError, match=r"1 asks a question of the evaluation \(rows.jsonl, line 25\)"
    ):
        evaluation._evaluate(job)
