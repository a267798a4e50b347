"""A kind more is a module and its words more: rows, pairs, evaluation and schema know it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tasks
from tests.synthetic import demo_market, whitespace_tokenizer

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent / "thirteenth"
WORK = """
import json, sys
from pathlib import Path
from tasks.core.evaluation.questions import build_questions
from tasks.core.kinds import KINDS, kind_named
from tasks.core.settings.tree import Evaluation, Pairs, Synthesis
from tasks.core.synthesis.generate import synthesize
from tasks.core.synthesis.kind_rows import Source
from tasks.core.synthesis.pairs import build_pairs

market, tokenizer, out = map(Path, sys.argv[1:])
rows = synthesize(Source(market / "train", tokenizer, Synthesis(rows=60)), out)
pairs = build_pairs(out / "rows.jsonl", tokenizer, Pairs(rows=60), out)
asked = build_questions(market / "holdout", Evaluation(questions=40), out)
kind = kind_named("drawdown_limit")
told = {"kinds": len(KINDS), "schema": list(kind.schema["required"]), "card": kind.card}
print(json.dumps({**told, "rows": rows["kind"], "pairs": pairs["kind"], "asked": asked["kinds"]}))
"""


def test_a_kind_more_is_a_file_more(tmp_path):
    shutil.copytree(
        Path(tasks.__file__).parent,
        tmp_path / "tasks",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for file in HERE.glob("drawdown_limit.*"):
        shutil.copy(file, tmp_path / "tasks" / "core" / "kinds" / "catalog")
    market = demo_market(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", WORK, market, whitespace_tokenizer(tmp_path), out],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kinds"] == 13
    assert told["schema"] == ["working", "reasoning", "verdict", "regime"]
    assert told["card"] == "MDD above 20 %: STOP, else GO_ON"
    for part in ("rows", "pairs", "asked"):
        assert told[part]["drawdown_limit"] >= 2
