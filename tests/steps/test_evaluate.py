"""What evaluate asks, and that its questions are none that were trained on."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from tasks.core.chain.step import Job
from tasks.core.errors import WorkError
from tasks.core.evaluation.questions import build_questions
from tasks.core.files.json_files import read_json, write_json
from tasks.core.serving import servers
from tasks.core.settings.profiles import load
from tasks.core.steps import chain
from tasks.core.steps.evaluate import STEP
from tests.evaluation.conftest import market, model_server  # noqa: F401
from tests.every_step import EVERY_STEP
from tests.synthetic import synthetic_rows


def test_training_rows_that_hold_a_question_stop_the_step(tmp_path, market, monkeypatch):  # noqa: F811
    monkeypatch.setattr(servers, "open_server", lambda home: pytest.fail("a model was asked"))
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


def test_each_held_out_day_is_asked_about_once_more(tmp_path, market, model_server, monkeypatch):  # noqa: F811
    """The release is asked for the path too; what promotion weighs has the frozen questions."""
    server = SimpleNamespace(
        name="ours",
        openai_url=model_server.endpoint.url,
        digest=lambda tag: "sha256:1",
        context_length=lambda tag: None,
        at_once=lambda tag: 2,
    )
    monkeypatch.setattr(servers, "required_server", lambda base: None)
    monkeypatch.setattr(servers, "open_server", lambda home, only_on: nullcontext(server))
    model_server.reply = lambda body: '{"recommended_net_exposure_pct": 60}'
    for folder in ("register", "evaluate"):
        (tmp_path / folder).mkdir()
    registered = {"tag": "kospi:1", "digest": "sha256:1", "server": "ours"}
    write_json(tmp_path / "register" / "registration.json", registered)
    asked = ["evaluation.models=[]", "evaluation.questions=3", "evaluation.path_days=4"]
    job = Job(
        step="evaluate",
        key="0123",
        settings=load("demo", asked).settings.declared(STEP.readable_settings),
        reads={"market": ("holdout/*",)},
        folder=lambda step: market if step == "market" else tmp_path / step,
        out=tmp_path / "evaluate",
        outside={},
        locked=lambda name, why: nullcontext(),
        progress=lambda share, text: None,
        home=tmp_path,
    )
    STEP.build(job)
    path = read_json(job.out / "path.json")
    assert path["models"]["released"]["exposure_pct"][-4:] == [60] * 4
    assert len([body for body in model_server.requests if body["max_tokens"] > 1]) == 3 + 4
    assert len((job.out / "marks.jsonl").read_text(encoding="utf-8").splitlines()) == 3
    assert (job.out / "path.png").is_file()


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
    settings = load("demo", [*EVERY_STEP, *overrides]).settings
    assert settings.compared_models == compared
    reads = chain(settings)["evaluate"].reads
    wanted = {"base": "baseline", "f16": "gguf"}
    made_from = {wanted.get(name, name) for name in compared}
    always = {"market", "register", "parity", "download"}
    assert reads.keys() - {"synthesize", "pairs"} == always | made_from
