"""The house rules on imports: downwards only, stages apart, nothing heavy behind the command."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import yaml

import flows

CODE = Path(flows.__file__).resolve().parent.parent
STAGES = {"data", "market", "synthesis", "training", "release", "parity", "serving", "evaluation"}
"""Rooms that meet through files and records only."""

LAYERS = (
    {"errors", "apportionment", "scripts", "word_runs", "colors", "rouge"},
    {"files"},
    {"processes", "chat"},
    {"settings", "records"},
    {"strategy"},
    {"kinds", "tools"},
    STAGES,
    {"chain"},
    {"steps"},
    {"preflight"},
)
"""The rooms of tasks/core from the ground up: a room imports lower ones only."""

HEAVY = {"torch", "trl", "peft", "transformers", "bitsandbytes", "unsloth"}
HEAVY_AT = (
    "tasks/core/training/",
    "tasks/core/release/",
    "tasks/core/parity/",
    "tasks/core/data/base_model/",
)


def files():
    tops = ("flows", "tasks", "deployments")
    return [file for top in tops for file in sorted((CODE / top).rglob("*.py"))]


def name_of(file):
    parts = file.relative_to(CODE).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


MODULES = {name_of(file): file for file in files()}


@cache
def imported(file):
    """Every module that the file imports, at its top or inside a function."""
    names = set()
    if file == MODULES.get("tasks.core.steps"):  # it imports its files by their names
        names.update(name for name in MODULES if name.startswith("tasks.core.steps."))
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                names.add(whole if whole in MODULES else node.module)
    return names


def top(name):
    return name.partition(".")[0]


def room_of(name):
    """The room of a module of tasks/core, or None for another module."""
    parts = name.split(".")
    return parts[2] if parts[:2] == ["tasks", "core"] and len(parts) > 2 else None


def layer_of(room):
    return next(level for level, rooms in enumerate(LAYERS) if room in rooms)


def faults(name):
    """Imports of a module that climb, or cross from one stage to another."""
    room = room_of(name)
    for other in imported(MODULES[name]):
        climbs = top(other) in ("flows", "deployments")
        if room is not None:
            climbs |= top(other) in ("prefect", "typer")
            climbs |= top(other) == "tasks" and room_of(other) is None
        if room is not None and room_of(other) not in (None, room):
            climbs |= layer_of(room_of(other)) >= layer_of(room)
        if climbs:
            yield f"{name} imports {other}, which is not below it"


def test_imports_point_down():
    inner = [name for name in MODULES if top(name) == "tasks"]
    assert not [fault for name in inner for fault in faults(name)]


def test_heavy_libraries_stay_in_their_rooms():
    strays = []
    for name, file in MODULES.items():
        heavy = {other for other in imported(file) if top(other) in HEAVY}
        if heavy and not str(file.relative_to(CODE)).startswith(HEAVY_AT):
            strays.append(f"{name} imports {', '.join(sorted(heavy))}")
    assert not strays


def test_every_room_has_its_layer():
    rooms = {room_of(name) for name in MODULES} - {None}
    assert rooms == set().union(*LAYERS)


def test_no_imports_run_in_a_circle():
    graph = {name: imported(file) & MODULES.keys() - {name} for name, file in MODULES.items()}
    while graph:
        leaves = {name for name, others in graph.items() if not others}
        assert leaves, f"these import each other: {', '.join(sorted(graph))}"
        graph = {name: others - leaves for name, others in graph.items() if name not in leaves}


def loaded_by(code):
    script = f"import sys; {code}; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def entrypoints():
    deployments = yaml.safe_load((CODE / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    return sorted({deployment["entrypoint"].rpartition(".")[0] for deployment in deployments})


def test_the_command_loads_nothing_heavy():
    assert not loaded_by("import flows.cli") & (
        HEAVY | {"prefect", "duckdb", "pyarrow", "matplotlib"}
    )


def test_the_steps_load_nothing_that_they_build_with():
    heavy = HEAVY | {"prefect", "duckdb", "pyarrow", "matplotlib", "tokenizers", "httpx"}
    assert not loaded_by("import tasks.core.steps") & heavy


def test_flows_load_neither_torch_nor_trl_nor_the_server():
    modules = ", ".join(entrypoints())
    assert not loaded_by(f"import {modules}") & (HEAVY | {"prefect.server.api.server", "uvicorn"})
