"""Which models our steps put on a server: those that are there for a step's time, and those that
`register` leaves there.

Each tag is written down in KOSPILOT_HOME/serving/temporary before its server hears of it, and
crossed out when the model is gone again: a step that was killed, or whose server was, cannot say
itself what it left. A registered model's note stays while the model does: `artifacts gc` spares it
while an artifact vouches for the tag, and finds it by the note when none does any more.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote

from tasks.core.errors import WorkError
from tasks.core.files.atomic import write_text
from tasks.core.serving.servers import Server


@contextmanager
def lent(server: Server, tag: str, home: Path) -> Iterator[None]:
    """Removes a model after the block that makes and asks it.

    An error of the block is the one that is told, also if the model cannot be removed then.
    """
    note_down(server, tag, home)
    try:
        yield
        server.unload(tag)  # a training may need the card's memory next
    except BaseException:
        with suppress(WorkError):  # the server may be gone
            _remove(server, tag, home)
        raise
    _remove(server, tag, home)


def note_down(server: Server, tag: str, home: Path) -> None:
    """Remembers that a model is put on a server."""
    write_text(_note(tag, home), server.name)


def noted(home: Path) -> dict[str, str]:
    """Returns the tags that were written down and not crossed out, each with its server's name.

    A note that a full disk left empty names no server, and is passed over.
    """
    found = {}
    for note in sorted((home / "serving" / "temporary").glob("[!.]*")):
        server = note.read_text(encoding="utf-8", errors="replace")
        if server:
            found[unquote(note.name)] = server
    return found


def cross_out(tag: str, home: Path) -> None:
    """Forgets a tag: its model is gone."""
    _note(tag, home).unlink(missing_ok=True)


def _remove(server: Server, tag: str, home: Path) -> None:
    server.delete(tag)
    cross_out(tag, home)


def _note(tag: str, home: Path) -> Path:
    return home / "serving" / "temporary" / quote(tag, safe="")
