"""How the house measures: sizes, density, docstrings and the depth of its imports.

    uv run python tests/bench/house.py [CHECKOUT ...]

Prints one column for each checkout, by default this one alone; two show before and after. Counted
are the Python files under flows, tasks and deployments.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TOPS = ("flows", "tasks", "deployments")
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Module:
    """One file: its dotted name, its lines and its syntax tree."""

    name: str
    lines: list[str]
    tree: ast.Module

    def nodes(self, kind: type | tuple[type, ...]) -> list[ast.AST]:
        return [node for node in ast.walk(self.tree) if isinstance(node, kind)]


def modules_of(checkout: Path) -> dict[str, Module]:
    modules = {}
    for top in TOPS:
        for file in sorted((checkout / top).rglob("*.py")):
            name = ".".join(file.relative_to(checkout).with_suffix("").parts)
            text = file.read_text(encoding="utf-8")
            name = name.removesuffix(".__init__")
            modules[name] = Module(name, text.splitlines(), ast.parse(text))
    return modules


def public_functions(module: Module) -> Iterator[ast.FunctionDef]:
    """Functions and methods whose names, and whose class's name, do not begin with _."""
    scopes: list[ast.Module | ast.ClassDef] = [module.tree]
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            scopes.append(node)
    for scope in scopes:
        for node in scope.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield node


def imports_of(module: Module, modules: dict[str, Module], everywhere: bool) -> set[str]:
    """Our modules that this one imports, at its top or, if `everywhere`, in functions too."""
    nodes = module.nodes((ast.Import, ast.ImportFrom)) if everywhere else list(module.tree.body)
    names = set()
    if module.name == "tasks.core.steps":  # it imports its files by their names
        names.update(name for name in modules if name.startswith("tasks.core.steps."))
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                names.add(whole if whole in modules else node.module)
    return {name for name in names if name in modules and name != module.name}


def deepest_chain(modules: dict[str, Module], under: str, everywhere: bool) -> int:
    """Modules in the longest chain of imports that stays in this package."""
    inside = {name: module for name, module in modules.items() if name.startswith(under)}
    depths: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in depths:
            below = imports_of(inside[name], inside, everywhere)
            depths[name] = 1 + max((depth(other) for other in below), default=0)
        return depths[name]

    return max(depth(name) for name in inside)


def spread(values: list[int]) -> str:
    """Median, 90th percentile and most."""
    ordered = sorted(values)
    places = (len(ordered) // 2, int(0.9 * len(ordered)), len(ordered) - 1)
    return " / ".join(str(ordered[place]) for place in places)


def figures_of(checkout: Path) -> dict[str, str]:
    modules = modules_of(checkout)
    all_modules = list(modules.values())
    files = [module for module in all_modules if module.lines]
    lines = sum(len(module.lines) for module in files)
    wide = sum(len(line) > 100 for module in files for line in module.lines)
    functions = [node for module in files for node in module.nodes(FUNCTIONS)]
    public = [node for module in files for node in public_functions(module)]
    documented = sum(ast.get_docstring(node) is not None for node in public)

    def per_thousand(kind: type | tuple[type, ...]) -> str:
        count = sum(len(module.nodes(kind)) for module in files)
        return f"{1000 * count / lines:.1f}"

    return {
        "modules": str(len(files)),
        "lines": f"{lines:,}",
        "lines of a file (median / 90 % / most)": spread([len(m.lines) for m in files]),
        "functions": f"{len(functions):,}",
        "lines of a function (median / 90 % / most)": spread(
            [node.end_lineno - node.lineno + 1 for node in functions]
        ),
        "lines over 100 characters": f"{100 * wide / lines:.2f} %",
        "comprehensions per 1,000 lines": per_thousand(COMPREHENSIONS),
        "ternaries per 1,000 lines": per_thousand(ast.IfExp),
        "walruses per 1,000 lines": per_thousand(ast.NamedExpr),
        "public functions with a docstring": f"{100 * documented / len(public):.0f} %",
        "deepest import chain, whole program": str(deepest_chain(modules, "", False)),
        "  counting imports inside functions": str(deepest_chain(modules, "", True)),
        "deepest import chain inside training": str(
            deepest_chain(modules, "tasks.core.training", True)
        ),
    }


def main() -> None:
    checkouts = [Path(argument) for argument in sys.argv[1:]]
    columns = [figures_of(checkout) for checkout in checkouts or [Path(__file__).parents[2]]]
    for name in columns[0]:
        print(f"{name:45}" + "".join(f"{column[name]:>18}" for column in columns))


if __name__ == "__main__":
    main()
