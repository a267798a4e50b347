"""A real model is asked freely for wrong replies, and never twice for the same."""

import json

import pytest

from tasks.core.evaluation import answer
from tasks.core.serving.servers import open_server
from tasks.core.synthesis.rejects import collect_rejects
from tasks.rejects import ask_rows
from tests.serving.conftest import silent
from tests.serving.sampling import sampling_modelfile
from tests.synthesis.conftest import made  # noqa: F401


def test_a_real_models_replies_are_sorted_out_and_kept(
    no_ollama, demo_gguf, demo_base, made, tmp_path, monkeypatch  # noqa: F811
):
    rows = [
        json.loads(line) for line in (made / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    rows = [row for row in rows if row["metadata"]["kind"] == "regime_classification"][:3]
    with open_server(tmp_path / "home") as server:
        server.create("m:one", demo_gguf, sampling_modelfile(demo_base), silent)

        def ask(start, stop):
            return ask_rows(
                server.openai_url, "m:one", rows[start:stop], tmp_path / f"{start}.jsonl", silent
            )

        found, report = collect_rejects(rows, {"schema_violation": 3}, ask)
        assert report["asked"] == 3
        assert all(reject.flaws == ("schema_violation",) for reject in found)
        assert sum(report["replies"].values()) == 3
        monkeypatch.setattr(answer, "ask", lambda *given, **more: pytest.fail("asked again"))
        assert len(ask(0, 3)) == 3
