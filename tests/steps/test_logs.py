"""A live system's logs through the steps: rows of a kind more, and questions of the evaluation; all
is as before without them.
"""

import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from tasks.core.chain.step import Job, Surroundings
from tasks.core.evaluation.questions import read_questions
from tasks.core.files.json_files import read_json, write_json
from tasks.core.files.memory import DigestMemory
from tasks.core.kinds.catalog.signals import BOUNDED, ROUGE
from tasks.core.serving import servers
from tasks.core.settings.profiles import load
from tasks.core.steps import chain
from tests.evaluation.conftest import market, model_server  # noqa: F401
from tests.live_logs import SOUND, write_logs
from tests.synthetic import read_lines, whitespace_tokenizer


def build(step, tmp_path, market, settings):  # noqa: F811
    """Builds a step in tmp_path/STEP, as the chain does."""
    out = tmp_path / step.name
    out.mkdir()
    job = Job(
        step=step.name,
        key="0123",
        settings=settings.declared(step.readable_settings),
        reads={name: files for name, files in step.reads.items() if (tmp_path / name).is_dir()},
        folder=lambda step: market if step == "market" else tmp_path / step,
        out=out,
        outside={},
        locked=lambda name, why: nullcontext(),
        progress=lambda share, text: None,
        home=tmp_path,
    )
    return step.build(job)


@pytest.mark.slow
def test_logs_become_rows_and_the_later_ones_are_asked(tmp_path, market, model_server, monkeypatch):  # noqa: F811
    logs = write_logs(tmp_path / "logs", [*SOUND, "{"])
    asked = ["evaluation.models=[]", "evaluation.questions=10", "evaluation.path_days=1"]
    given = [f"synthesis.logs={logs}", "synthesis.rows=12", "stages.skip=[stage3]"]
    settings = load("demo", [*asked, *given]).settings
    steps = chain(settings)
    (tmp_path / "download" / "base").mkdir(parents=True)
    whitespace_tokenizer(tmp_path / "download" / "base")
    made = build(steps["synthesize"], tmp_path, market, settings)
    assert made["kind"]["signals"] == 8 and made["rows"] == 20
    assert made["logs"]["held"] == 2 and made["logs"]["dropped"]["no JSON"]["logs"] == 1
    rows = read_lines(tmp_path / "synthesize" / "rows.jsonl")
    assert sum(row["metadata"]["kind"] == "signals" for row in rows) == 8

    server = SimpleNamespace(
        name="ours",
        openai_url=model_server.endpoint.url,
        digest=lambda tag: "sha256:1",
        context_length=lambda tag: None,
        at_once=lambda tag: 1,
    )
    monkeypatch.setattr(servers, "required_server", lambda base: None)
    monkeypatch.setattr(servers, "open_server", lambda home, only_on: nullcontext(server))
    model_server.reply = lambda body: planted(
        tmp_path / "evaluate", body["messages"][-1]["content"]
    )
    (tmp_path / "register").mkdir()
    registered = {"tag": "kospi:1", "digest": "sha256:1", "server": "ours"}
    write_json(tmp_path / "register" / "registration.json", registered)
    build(steps["evaluate"], tmp_path, market, settings)

    questions = read_questions(tmp_path / "evaluate" / "questions.jsonl")
    assert [question.kind for question in questions].count("signals") == 1  # a tenth of ten
    figures = read_json(tmp_path / "evaluate" / "scores.json")["released"]
    assert figures["kinds"]["signals"]["value"] == 1.0  # its own words are right
    bounded, rouge = figures["beside"][BOUNDED], figures["beside"][ROUGE]
    assert bounded["value"] == 1.0 and 0 < rouge["value"] < 0.6 and rouge["n"] == 1
    table = (tmp_path / "evaluate" / "table.md").read_text(encoding="utf-8")
    page = (tmp_path / "evaluate" / "report.html").read_text(encoding="utf-8")
    for report in (table, page):
        assert "signals: ROUGE-L F1 of the analysis against the log" in report


def planted(folder, asked):
    """The right answer to a question about a log, with an analysis in other words."""
    for question in read_questions(folder / "questions.jsonl"):
        if question.kind == "signals" and question.messages[-1]["content"] == asked:
            words = "58.0% of the names rise, so the market is firm and memory leads."
            return json.dumps({**json.loads(question.reference), "analysis": words})
    return "no"


def outside(tmp_path, *overrides):
    settings = load("demo", overrides).settings
    around = Surroundings(settings, tmp_path, DigestMemory(tmp_path / "memory"))
    return chain(settings)["synthesize"].outside(around)


def test_the_logs_are_known_by_their_content(tmp_path):
    logs = write_logs(tmp_path / "logs", SOUND)
    without, given = outside(tmp_path), outside(tmp_path, f"synthesis.logs={logs}")
    assert given.keys() - without.keys() == {"synthesis.logs", "words of logs"}
    (logs / "notes.txt").write_text("no log", encoding="utf-8")
    assert outside(tmp_path, f"synthesis.logs={logs}") == given
    write_logs(logs, SOUND[1:])
    assert outside(tmp_path, f"synthesis.logs={logs}") != given


def test_without_logs_nothing_of_them_is_in_a_key_or_read():
    settings = load("demo").settings
    assert not [name for name in settings.synthesis.result_settings() if name.startswith("logs")]
    assert chain(settings)["evaluate"].reads["synthesize"] == ("rows.jsonl",)
    with_logs = load("demo", ["synthesis.logs=x"]).settings
    reads = chain(with_logs)
    assert reads["evaluate"].reads["synthesize"] == ("rows.jsonl", "held_logs.jsonl")
    assert reads["stage2"].reads["synthesize"] == ("rows.jsonl",)
