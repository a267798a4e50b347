"""The folder of a live system's reasoning logs: DATE/NAME.json, a folder a day, a file a call."""

from pathlib import Path

from tasks.core.errors import RequestError
from tasks.core.files.foreign import refuse_pointer


def find_logs(folder: Path, setting: str) -> list[Path]:
    """Returns the log files, day by day.

    Raises RequestError, which names the setting that gave the folder, if there is none.
    """
    files = sorted(file for file in folder.glob("*/*.json") if file.is_file())
    if not files:
        fault = "holds no DATE/*.json" if folder.is_dir() else "is no folder"
        raise RequestError(
            f"{setting}={folder} {fault}. Name the folder of the days, e.g. logs/reasoning."
        )
    refuse_pointer(files[0])
    return files
