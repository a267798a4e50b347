"""Whether the files of a source have the columns that it needs."""

from collections.abc import Sequence
from pathlib import Path

from tasks.core.data.chat import Source
from tasks.core.data.tables import read_columns
from tasks.core.errors import RequestError, did_you_mean


def require_columns(source: Source, files: Sequence[Path]) -> None:
    """Refuses files that lack a column of the source, and offers the most similar one they have."""
    for file in files:
        there = read_columns(file)
        for names in source.columns:
            if set(names).isdisjoint(there):
                raise RequestError(
                    f"{file} has no column {' or '.join(names)}, which {source.name} needs."
                    f"{did_you_mean(names[-1], there)} It has {', '.join(there) or 'no column'}:"
                    f" {_remedy(source)}."
                )


def _remedy(source: Source) -> str:
    if source.name == "own":
        return "name its columns with data.own_user=COLUMN data.own_assistant=COLUMN"
    return f"rename one, or name another file with data.{source.name}=FILE"
