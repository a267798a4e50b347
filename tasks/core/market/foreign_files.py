"""Tables' files that are not what their name says: a Git LFS pointer, a web page, a workbook.

Reads a file's first bytes.
"""

from pathlib import Path

from tasks.core.errors import RequestError
from tasks.core.files.foreign import refuse_pointer


def refuse_other_kinds(file: Path) -> None:
    """Raises RequestError, which says what it is, if a table's file holds something else.

    Raises OSError if the file cannot be read.
    """
    refuse_pointer(file)
    with file.open("rb") as stream:
        start = stream.read(512)
    what = _kind_of(start)
    if what is not None:
        raise RequestError(f"{file} {what}")


def _kind_of(start: bytes) -> str | None:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<table", b"<script")):
        return (
            "is a web page (HTML), not a table: a download that failed, or a page saved under"
            " another name. Fetch the table itself, or save it as CSV."
        )
    if start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return "is an Excel workbook or a zip file: save the table as CSV and import that."
    if start.startswith(b"%PDF"):
        return "is a PDF, not a table: save the table as CSV and import that."
    return None
