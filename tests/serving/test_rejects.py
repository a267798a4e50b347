"""A real model is asked freely for wrong replies, and never twice for the same."""

import pytest

from tasks.core.evaluation import answer
from tasks.core.evaluation.row_questions import ask_rows
from tasks.core.files.json_files import read_lines
from tasks.core.serving.servers import open_server
from tasks.core.synthesis.rejects import collect_rejects
from tests.serving.conftest import silent
from tests.serving.sampling import sampling_modelfile
from tests.synthesis.conftest import made  # noqa: F401

pytestmark = pytest.mark.slow


def test_a_real_models_replies_are_sorted_out_and_kept(
    no_ollama,
    demo_gguf,
    demo_base,
    made,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    rows = read_lines(made / "rows.jsonl")
    rows = [row for row in rows if row["metadata"]["kind"] == "regime_classification"][:3]
    with open_server(tmp_path / "home") as server:
        server.create("m:one", demo_gguf, sampling_modelfile(demo_base), silent)
        endpoint = answer.Endpoint.of(server, "m:one")

        def ask(start, stop):
            return ask_rows(endpoint, rows[start:stop], tmp_path / f"{start}.jsonl", silent)

        rejects, report = collect_rejects(rows, {"schema_violation": 3}, ask)
        assert report["asked"] == 3
        assert all(reject.flaws == ("schema_violation",) for reject in rejects)
        assert sum(report["replies"].values()) == 3
        monkeypatch.setattr(answer, "ask", lambda *given, **more: pytest.fail("asked again"))
        assert len(ask(0, 3)) == 3
