"""`python -m tasks.core.training SPEC`: one stage in a process of its own. SPEC is a records.TrainingSpec as JSON.

Needs neither Prefect nor DuckDB: it runs alone on a GPU machine. Telemetry goes to stdout, one JSON object a line;
other words go to stderr, an error as the last line. Exit codes: 0 done, 1 the work failed, 2 the request was wrong.
"""

import json
import logging
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # everything was fetched before: nothing here may wait for a network

from tasks.core.errors import RequestError, WorkError  # noqa: E402
from tasks.core.records import TrainingSpec  # noqa: E402
from tasks.core.training.stage import train  # noqa: E402


def main() -> int:
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("tasks").setLevel(logging.INFO)
    warnings.filterwarnings("ignore", category=FutureWarning)
    if len(sys.argv) != 2:
        print("error: usage: python -m tasks.core.training SPEC.json", file=sys.stderr)
        return 2
    try:
        spec = TrainingSpec(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
        train(spec)
    except (RequestError, WorkError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, RequestError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
