"""The `kospilot` command.

Its modules import light things at the top and the rest inside their functions, so that --help
answers at once. Exit codes: 0 done, 1 the work failed, 2 the request was wrong and nothing was
changed, 130 interrupted.
"""

import atexit
import errno
import gc
import os
import signal
import sys
from typing import Annotated, Any

import typer

from flows.commands import (
    artifacts,
    data,
    evaluate,
    machine,
    market,
    models,
    release,
    run,
    service,
    train,
)
from flows.console import say
from flows.encoding import replace_unencodable
from flows.log_lines import check_variable, handle_the_rest, is_json
from tasks.core.errors import RequestError, WorkError
from tasks.core.processes.proxies import settle_proxies

# typer carries a click of its own, and does not name the class of its usage errors.
UsageError = typer.BadParameter.__base__

app = typer.Typer(
    name="kospilot",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Turn an open model into a Korean-equity strategy analyst that answers in Ollama.",
)
run.add_to(app)
models.add_to(app)
evaluate.add_to(app)
release.add_to(app)
service.add_to(app)
machine.add_to(app)
app.add_typer(artifacts.app)
app.add_typer(data.app)
app.add_typer(market.app)
app.add_typer(train.app)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
) -> None:
    if debug:
        os.environ["KOSPILOT_DEBUG"] = "1"
    check_variable()
    for sentence in settle_proxies():
        say(f"! {sentence}")


def main() -> None:
    """Entry point: errors become one short paragraph and an exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    replace_unencodable()
    handle_the_rest()
    try:
        code = typer.main.get_command(app).main(standalone_mode=False)
    except UsageError as error:  # type: ignore[misc]  # see above
        _show_usage(error)
        code = error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = 130
    except SystemExit as stop:  # typer leaves with 130 by itself when it sees Ctrl-C
        code = stop.code
    except RequestError as error:
        code = _tell(error, 2)
    except (WorkError, OSError) as error:
        code = _tell(error, 1)
    if code == 130:
        say("Interrupted. Finished steps are kept; the same command goes on from there.")
    sys.exit(code or 0)


@atexit.register
def _forget_tracebacks() -> None:
    """Drops the tracebacks of the errors that somebody keeps to the very end, as Prefect does.

    With them would stay all modules that they passed through, and DuckDB's complains on stderr, in
    dozens of lines, that its objects outlive it.
    """
    if "duckdb" not in sys.modules:
        return
    for known in gc.get_objects():
        if issubclass(type(known), BaseException):
            known.__traceback__ = None


def _show_usage(error: Any) -> None:
    if is_json():
        say(f"error: {error.format_message()}")
    else:
        error.show()


def _tell(error: Exception, code: int) -> int:
    if os.environ.get("KOSPILOT_DEBUG"):
        raise error
    say(f"error: {_words(error)}")
    return code


def _words(error: Exception) -> str:
    """What an error says; to a system's error of a read-only disk is added what to do."""
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        return (
            f"{error.filename} cannot be written ({error.strerror}). Mount it so that it can be, or"
            " set KOSPILOT_HOME to a folder that can."
        )
    return str(error)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
