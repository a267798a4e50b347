"""What evaluate asks, and that its questions are none that were trained on."""

from types import SimpleNamespace

import pytest

from tasks.core.errors import WorkError
from tasks.core.evaluation.questions import build_questions
from tasks.core.serving import servers
from tasks.core.settings.profiles import load
from tasks.core.steps import chain
from tasks.core.steps.evaluate import STEP
from tests.synthetic import demo_market, synthetic_rows


def test_training_rows_that_hold_a_question_stop_the_step(tmp_path, monkeypatch):
    monkeypatch.setattr(servers, "open_server", lambda home: pytest.fail("a model was asked"))
    market = demo_market(tmp_path)
    out = tmp_path / "evaluate"
    out.mkdir()
    synthetic_rows(market / "train", tmp_path / "rows", rows=24)
    settings = load("demo").settings
    build_questions(market / "holdout", settings.evaluation, out)
    planted = (out / "questions.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[0]
    with (tmp_path / "rows" / "rows.jsonl").open("a", encoding="utf-8") as rows:
        rows.write(planted)
    folders = {"market": market, "synthesize": tmp_path / "rows"}
    job = SimpleNamespace(
        settings=settings.declared(STEP.readable_settings),
        home=tmp_path,
        out=out,
        reads={"market": ("holdout/*",), "synthesize": ("rows.jsonl",)},
        folder=folders.get,
    )
    message = r"1 asks a question of the evaluation \(rows.jsonl, line 25\)"
    with pytest.raises(WorkError, match=message):
        STEP.build(job)


ALL = "evaluation.models=[f16,base,stage3,stage2,stage1]"


@pytest.mark.parametrize(
    ("overrides", "compared"),
    [
        ([], ["base"]),
        ([ALL], ["base", "stage1", "stage2", "f16"]),  # Stage 3 is what is released
        ([ALL, "stages.skip=[stage3]"], ["base", "stage1", "f16"]),
        ([ALL, "stages.skip=[stage1]"], ["base", "stage2", "f16"]),
        ([ALL, "release.quantization=F16"], ["base", "stage1", "stage2"]),
        ([ALL, "evaluation.baseline=false"], ["stage1", "stage2", "f16"]),
        (["evaluation.models=[]"], []),
    ],
)
def test_the_models_beside_the_release(overrides, compared):
    settings = load("demo", overrides).settings
    assert settings.compared_models == compared
    reads = chain(settings)["evaluate"].reads
    wanted = {"base": "baseline", "f16": "gguf"}
    made_from = {wanted.get(name, name) for name in compared}
    always = {"market", "register", "parity", "download"}
    assert reads.keys() - {"synthesize", "pairs"} == always | made_from
