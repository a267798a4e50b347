"""The word of a report that the rows beside it were proven, so that no later step proves them anew.

Reads rows.jsonl and report.json; writes no file.
"""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from tasks.core.files.digests import digest_file
from tasks.core.files.json_files import read_json

PROVEN = "proven_sha256"
"""The key of a report under which the digest of the proven rows stands."""


def digest_lines(lines: Iterable[bytes]) -> str:
    """Returns the SHA-256 of a file of these lines, as hex."""
    digest = sha256()
    for line in lines:
        digest.update(line)
    return digest.hexdigest()


def are_proven(rows_file: Path) -> bool:
    """Whether the report beside a rows file says that these very bytes were proven; without a
    report that can be read they are not.
    """
    try:
        report = read_json(rows_file.with_name("report.json"))
    except (OSError, ValueError):
        return False
    return isinstance(report, dict) and report.get(PROVEN) == digest_file(rows_file)
