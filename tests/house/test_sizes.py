"""The house rules on size and density, as CONTRIBUTING.md states them."""

import ast
from pathlib import Path

import flows
from tests.bench.house import COMPREHENSIONS, FUNCTIONS, modules_of, public_functions

CODE = Path(flows.__file__).resolve().parent.parent
MODULES = list(modules_of(CODE).values())


def per_thousand_lines(kind):
    count = sum(len(module.nodes(kind)) for module in MODULES)
    return 1000 * count / sum(len(module.lines) for module in MODULES)


def test_files_have_at_most_400_lines():
    assert not [module.name for module in MODULES if len(module.lines) > 400]


def test_functions_have_at_most_60_lines():
    long = []
    for module in MODULES:
        for function in module.nodes(FUNCTIONS):
            if function.end_lineno - function.lineno >= 60:
                long.append(f"{module.name}.{function.name}")
    assert not long


def test_code_is_not_dense():
    assert per_thousand_lines(COMPREHENSIONS) <= 30
    assert per_thousand_lines(ast.IfExp) <= 12


def test_public_functions_say_what_they_do():
    public = [function for module in MODULES for function in public_functions(module)]
    documented = [function for function in public if ast.get_docstring(function)]
    assert len(documented) >= 0.95 * len(public)
