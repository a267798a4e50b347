"""kospilot doctor, tools, serve: the machine and what runs on it."""

from typing import Annotated

import typer

from flows.console import print_json, say, stderr, stdout, table

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[SETTINGS]...", help="section.name=value")
]

tools = typer.Typer(name="tools", no_args_is_help=True, help="llama.cpp and Ollama: list, install.")


def add_to(app: typer.Typer) -> None:
    app.command()(doctor)
    app.command()(serve)
    app.add_typer(tools)


def doctor(
    profile: Annotated[str, typer.Argument(help="The profile to judge the machine for.")] = "demo",
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """The machine, tools, versions, disk and memory against what the profile needs."""
    from tasks.core.chain.run import kospilot_home
    from tasks.core.preflight.doctor import examine
    from tasks.core.settings.profiles import load

    checks = examine(load(profile, overrides or []).settings, kospilot_home())
    if as_json:
        print_json({"checks": checks})
    else:
        table(
            "", ("check", "status", "detail", "remedy"), [list(check.values()) for check in checks]
        )
    if any(check["status"] == "fail" for check in checks):
        raise typer.Exit(1)


@tools.command("list")
def list_tools(as_json: Json = False) -> None:
    """Each tool: where it was found, which version, built or not."""
    from tasks.core.chain.run import kospilot_home
    from tasks.core.tools import tool_list

    found = tool_list(kospilot_home())
    if as_json:
        print_json(found)
    else:
        table("", ("tool", "version", "where", "status"), [list(tool.values()) for tool in found])


@tools.command()
def install(name: Annotated[str, typer.Argument(help="llama.cpp or ollama")]) -> None:
    """Builds a tool into KOSPILOT_HOME/tools; does nothing if it is there."""
    from tasks.core.chain.run import kospilot_home
    from tasks.core.errors import RequestError
    from tasks.core.tools import install_llama_cpp, install_ollama

    builders = {"llama.cpp": install_llama_cpp, "ollama": install_ollama}
    if name not in builders:
        raise RequestError(f"There is no tool {name!r}. Tools: {', '.join(builders)}.")
    with stderr.status(f"{name}: starting") as status:
        tool = builders[name](
            kospilot_home(), lambda part, text: status.update(f"{name}: {100 * part:.0f} %, {text}")
        )
    stdout.print(str(tool), markup=False, soft_wrap=True)


def serve(
    profile: Annotated[
        str, typer.Argument(help="The profile that the scheduled refresh runs.")
    ] = "demo",
    overrides: Overrides = None,
    port: Annotated[int, typer.Option(help="Port of the server and its UI.")] = 4200,
) -> None:
    """Prefect server, worker and deployments on this machine; Ctrl-C stops all it started."""
    import signal
    from contextlib import ExitStack

    from flows.server import recorded_server, serving
    from tasks.core.chain.run import kospilot_home
    from tasks.core.settings.profiles import load

    home, refreshed = kospilot_home(), load(profile, overrides or [])
    if url := recorded_server(home):
        say(f"A server is already there: {url.removesuffix('/api')}")
        return
    with ExitStack() as stack:
        with stderr.status("starting server, worker and deployments"):
            url = stack.enter_context(serving(home, port, refreshed))
        stack.callback(say, "Stopping.")
        said = " ".join([profile, *refreshed.overrides])
        say(
            f"`refresh` runs the chain of {said}: on weekdays at 18:30 in Seoul, and after `kospilot market import`."
        )
        say(
            f"Open {url.removesuffix('/api')} and start `full`. Logs: {home / 'logs'}. Ctrl-C stops everything."
        )
        signal.pause()
