"""What Prefect servers keep in KOSPILOT_HOME/prefect: the secret, the record, the database.

Nothing of it is an artifact: what is damaged is passed over, or set aside with a word.
"""

import contextlib
import os
import re
import secrets
import sqlite3
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
from filelock import FileLock

from tasks.core.errors import WorkError
from tasks.core.files.atomic import replacing
from tasks.core.files.json_files import read_json, write_json
from tasks.core.processes.host import host_name

SERVER_LOG = "prefect-server.log"
WORKER_LOG = "prefect-worker.log"
"""The logs' names in KOSPILOT_HOME/logs."""

_PROGRAM = "flows.server_program"
_URL = re.compile(r"http://127\.0\.0\.1:[0-9]+/api")
_SHORTEST_SECRET = 30  # characters; what secrets.token_urlsafe(24) makes has 32, and a name


def prefect_folder(home: Path) -> Path:
    """The folder of this user's Prefect under a home, which several users may share.

    Raises WorkError if another user laid claim to it, who could read and exchange what lies there.
    """
    shared = home / "prefect"
    is_anothers = shared.exists() and shared.stat().st_uid != os.getuid()
    if is_anothers and not os.access(shared / "secret", os.R_OK | os.W_OK):
        return _refuse_anothers(home / f"prefect-{os.getuid()}")
    return shared


def _refuse_anothers(own: Path) -> Path:
    if os.path.lexists(own) and own.lstat().st_uid != os.getuid():
        raise WorkError(
            f"{own} belongs to another user (number {own.lstat().st_uid}), and your Prefect server"
            " would keep its password there. Remove it, or set KOSPILOT_HOME to a folder of your"
            " own."
        )
    return own


def secret(home: Path) -> str:
    """The password of this home's servers, as USER:PASSWORD; it is made when first asked for.

    It never stands in an argument, a log or a manifest: only in a file that its owner alone reads.
    """
    path = secret_file(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    _make_private(path.parent)
    with FileLock(path.with_name(".secret.lock")):
        return _read_secret(path) or _make_secret(path)


def _make_private(folder: Path) -> None:
    """Nobody else reads the database there: it holds a webhook's address, and the key to it."""
    mode = folder.stat().st_mode
    if mode & 0o077:
        folder.chmod(mode & 0o700)


def _make_secret(path: Path) -> str:
    """Writes a new secret; one that was damaged, or that others could read, is gone with it."""
    made = f"kospilot:{secrets.token_urlsafe(24)}"
    with replacing(path) as neighbour:
        neighbour.unlink(missing_ok=True)
        file = os.open(neighbour, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w") as opened:
            opened.write(made + "\n")
    return made


def secret_file(home: Path) -> Path:
    """Where the secret lies."""
    return prefect_folder(home) / "secret"


def _read_secret(path: Path) -> str | None:
    """The secret in a file; None if there is none that we can read, or if others could too."""
    try:
        with path.open(encoding="ascii") as file:
            is_private = not os.fstat(file.fileno()).st_mode & 0o077
            text = file.read(200).strip()
    except (OSError, ValueError):
        return None
    is_whole = len(text) >= _SHORTEST_SECRET and text.isprintable() and ":" in text
    return text if is_private and is_whole else None


@dataclass(frozen=True)
class Record:
    """The server that `kospilot serve` started: its API's address and its process."""

    url: str
    pid: int
    host: str = field(default_factory=host_name)

    def is_running(self) -> bool:
        """Whether the process is still that server: its number may be another's by now, and so may
        its port. The server of another machine is no server of this one.
        """
        if self.host != host_name():
            return False
        try:
            process = psutil.Process(self.pid)
            command = process.cmdline()
            is_ours = process.uids().real == os.getuid()
        except (psutil.Error, ValueError, OverflowError):
            return False
        port = self.url.rpartition(":")[2].removesuffix("/api")
        return is_ours and command[-3:] == ["-m", _PROGRAM, port]


def read_record(home: Path) -> Record | None:
    """The record, or None if there is none or if it is odd."""
    try:
        known = read_json(_record_file(home))
        record = Record(known["url"], known["pid"], known.get("host", host_name()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    # A damaged record must not send the secret to another machine.
    is_loopback = isinstance(record.url, str) and _URL.fullmatch(record.url)
    return record if is_loopback and type(record.pid) is int else None


def write_record(home: Path, record: Record) -> None:
    """Lets other commands find this server."""
    write_json(_record_file(home), asdict(record))


def drop_record(home: Path) -> None:
    """Lets other commands find no server."""
    _record_file(home).unlink(missing_ok=True)


def _record_file(home: Path) -> Path:
    return prefect_folder(home) / "server.json"


def damage_of(database: Path) -> str:
    """What is wrong with a database file; empty if nothing is, or if it is not there."""
    if not database.exists():
        return ""
    if not database.is_file():
        return "it is no file"
    try:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            [said] = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:  # busy, say: nothing that setting it aside would mend
        return ""
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if said == "ok" else str(said).splitlines()[-1]


def is_in_use(database: Path) -> bool:
    """Whether a process that we may look into has the database open."""
    path = str(database.resolve())
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if any(opened.path == path for opened in process.open_files()):
                return True
    return False


def set_aside(database: Path) -> Path:
    """Renames a database and its journals, and returns the database's new name."""
    stamp = time.strftime("%Y%m%dT%H%M%S")
    for suffix in ("-wal", "-shm", ""):
        old = database.with_name(database.name + suffix)
        new = database.with_name(f"{database.name}.damaged-{stamp}{suffix}")
        with contextlib.suppress(FileNotFoundError):
            old.rename(new)
    # By this file, Prefect would believe that its blocks are in the database.
    database.with_name("memo_store.toml").unlink(missing_ok=True)
    return new
