"""kospilot doctor, tools, tensorboard: the machine and what runs on it."""

from typing import Annotated

import typer

from flows.commands.options import Json, Overrides
from flows.console import print_json, say, stderr, stdout, table

tools = typer.Typer(name="tools", no_args_is_help=True, help="llama.cpp and Ollama: list, install.")


def add_to(app: typer.Typer) -> None:
    """Adds this file's commands to the application."""
    app.command()(doctor)
    app.command()(tensorboard)
    app.add_typer(tools)


def doctor(
    profile: Annotated[str, typer.Argument(help="The profile or file to judge it for.")] = "demo",
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Compares machine, tools, versions, disk and memory with what the profile needs."""
    from dataclasses import asdict

    from tasks.core.preflight.doctor import examine
    from tasks.core.settings.home import kospilot_home
    from tasks.core.settings.profiles import load

    checks = examine(load(profile, overrides or []).settings, kospilot_home())
    if as_json:
        print_json({"checks": [asdict(check) for check in checks]})
    else:
        rows = [(check.name, check.status, check.detail, check.remedy) for check in checks]
        table("", ("check", "status", "detail", "remedy"), rows)
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(1)


@tools.command("list")
def list_tools(as_json: Json = False) -> None:
    """Lists each tool: where it was found, which version, built or not."""
    from dataclasses import asdict

    from tasks.core.settings.home import kospilot_home
    from tasks.core.tools import tool_list

    found = tool_list(kospilot_home())
    if as_json:
        print_json([asdict(tool) for tool in found])
    else:
        rows = [(tool.name, tool.version, tool.where, tool.status) for tool in found]
        table("", ("tool", "version", "where", "status"), rows)


@tools.command()
def install(name: Annotated[str, typer.Argument(help="llama.cpp or ollama")]) -> None:
    """Builds a tool into KOSPILOT_HOME/tools; does nothing if it is there."""
    from tasks.core.errors import RequestError
    from tasks.core.settings.home import kospilot_home
    from tasks.core.tools import install_llama_cpp, install_ollama

    builders = {"llama.cpp": install_llama_cpp, "ollama": install_ollama}
    if name not in builders:
        raise RequestError(f"There is no tool {name!r}. Tools: {', '.join(builders)}.")
    with stderr.status(f"{name}: starting") as status:

        def report(share: float, text: str) -> None:
            status.update(f"{name}: {100 * share:.0f} %, {text}")

        tool = builders[name](kospilot_home(), report)
    stdout.print(str(tool), markup=False, soft_wrap=True)


def tensorboard(
    port: Annotated[int, typer.Option(help="Port of TensorBoard's page.")] = 6006,
) -> None:
    """Shows the curves of all trainings, the one at work too, in the browser; Ctrl-C stops it."""
    import os
    import sys

    from tasks.core.errors import RequestError
    from tasks.core.settings.home import kospilot_home

    artifacts = kospilot_home() / "artifacts"
    if not any(artifacts.glob("*/*/tensorboard")):
        raise RequestError("No stage has been trained yet: `kospilot demo` trains two.")
    say(f"Open http://127.0.0.1:{port}. A stage at work is under .staging.")
    where = ["--logdir", str(artifacts), "--host", "127.0.0.1", "--port", str(port)]
    os.execv(sys.executable, [sys.executable, "-m", "tensorboard.main", *where])
