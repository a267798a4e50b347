"""The house rules on imports: flows → tasks → core, stages apart, and nothing heavy behind the
command or a flow.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import flows

CODE = Path(flows.__file__).resolve().parent.parent
STAGES = {"data", "market", "synthesis", "training", "release", "serving", "evaluation"}
COMPOSERS = {
    "tasks/core/chain/adoption.py",
    "tasks/core/chain/run.py",
    "tasks/core/preflight/disk.py",
    "tasks/core/preflight/doctor.py",
    "tasks/core/preflight/rehearsal.py",
}  # above the stages: look at them all
HEAVY_AT = ("tasks/core/training/", "tasks/core/release/", "tasks/core/data/base.py")
HEAVY = {"torch", "trl", "peft", "transformers", "bitsandbytes", "unsloth"}


def modules():
    return [
        file
        for top in ("flows", "tasks", "deployments")
        for file in sorted((CODE / top).rglob("*.py"))
    ]


def imported(file):
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    return found


def top(name, depth=1):
    return ".".join(name.split(".")[:depth])


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(CODE)))
def test_imports_point_one_way(file):
    place, names = str(file.relative_to(CODE)), imported(file)
    if place.startswith("tasks/"):
        assert not {name for name in names if top(name) in ("flows", "deployments")}
    if place.startswith("tasks/core/"):
        assert not {
            name
            for name in names
            if top(name) == "tasks" and top(name, 2) not in ("tasks", "tasks.core")
        }
        assert not {name for name in names if top(name) in ("prefect", "typer")}
    stage = place.split("/")[2] if place.count("/") > 2 else None
    if stage in STAGES:
        others = {name.split(".")[2] for name in names if name.startswith("tasks.core.")} & STAGES
        assert others <= {stage}, f"{place} imports {others - {stage}}"
    elif place.startswith("tasks/core/") and place not in COMPOSERS:
        assert not {
            name
            for name in names
            if name.startswith("tasks.core.") and name.split(".")[2] in STAGES
        }
    if not place.startswith(HEAVY_AT):
        assert not {name for name in names if top(name) in HEAVY}


def loaded_by(code):
    script = f"import sys; {code}; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def entrypoints():
    deployments = yaml.safe_load((CODE / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    return sorted(deployment["entrypoint"].rpartition(".")[0] for deployment in deployments)


def test_the_command_loads_nothing_heavy():
    assert not loaded_by("import flows.cli") & (
        HEAVY | {"prefect", "duckdb", "pyarrow", "matplotlib"}
    )


@pytest.mark.parametrize("module", sorted(set(entrypoints())))
def test_a_flow_loads_neither_torch_nor_trl_nor_the_server(module):
    assert not loaded_by(f"import {module}") & (HEAVY | {"prefect.server.api.server", "uvicorn"})
