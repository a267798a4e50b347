"""A user's own rows, pairs and logs, as artifacts' keys know them: by their content."""

from pathlib import Path

from tasks.core.chain.step import Surroundings
from tasks.core.files.digests import digest_value
from tasks.core.steps._shipped import words_digest


def own_digest(setting: str, file: str, around: Surroundings) -> dict[str, str]:
    """Returns the digest of the file that a setting names, and nothing if it names none.

    Raises RequestError if there is no such file.
    """
    from tasks.core.synthesis.own import require_file

    if not file:
        return {}
    return {setting: around.memory.digest_of(require_file(setting, file))}


def logs_digest(folder: str, around: Surroundings) -> dict[str, str]:
    """Returns the digests of the logs in the folder of synthesis.logs and of the words in which
    their rows ask, and nothing without a folder.

    Raises RequestError if the folder holds no log.
    """
    from tasks.core.files.log_folder import find_logs
    from tasks.core.synthesis.log_files import name_of

    if not folder:
        return {}
    files = find_logs(Path(folder).expanduser(), "synthesis.logs")
    logs = [[name_of(file), around.memory.digest_of(file)] for file in files]
    return {"synthesis.logs": digest_value(logs), "words of logs": words_digest(given=True)}
