"""What ships with kospilot and artifacts depend on: the strategy prompt and the tables."""

from functools import cache
from importlib.resources import files
from pathlib import Path

from tasks.core.files.digests import digest_file, digest_value


@cache
def prompt_digest() -> str:
    """The digest of the strategy prompt in both languages."""
    from tasks.core.kinds.base import system_prompt

    return digest_value([system_prompt("ko"), system_prompt("en")])


@cache
def table_digests() -> dict[str, str]:
    """The sha256 of each table of stocks, funds, sectors and events, by its file name.

    Rows quote their names and ranges, and graders judge by them.
    """
    folder = Path(str(files("tasks.core.strategy") / "tables"))
    return {table.name: digest_file(table) for table in sorted(folder.glob("*.csv"))}
