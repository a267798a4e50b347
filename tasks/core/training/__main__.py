"""`python -m tasks.core.training SPEC`: one stage in a process of its own. SPEC is a
spec.TrainingSpec as JSON.

With a second file, a list of trials.Trial as JSON, nothing but these are run: one JSON object a
trial on stdout.

Needs neither Prefect nor DuckDB: it runs alone on a GPU machine. Telemetry goes to stdout, one JSON
object a line; other words go to stderr, an error as the last line. Where there are several GPUs it
becomes launcher.py, which starts it once per card. When a card is full it starts itself again with
less (oom.py). Exit codes: 0 done, 1 the work failed, 2 the request was wrong.
"""

import json
import logging
import os
import sys
import warnings
from pathlib import Path

if (
    __name__ == "__main__"
):  # before torch is loaded; a program that only imports this file keeps its environment
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault(
        "HF_HUB_OFFLINE", "1"
    )  # everything was fetched before: nothing may wait for a network
    os.environ.setdefault(
        "PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True"
    )  # micro-batches differ in size
    if "LOCAL_RANK" in os.environ and os.environ.get(
        "CUDA_VISIBLE_DEVICES"
    ):  # one of several that torchrun started
        cards = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
        os.environ["CUDA_VISIBLE_DEVICES"] = cards[int(os.environ["LOCAL_RANK"])]
    os.environ.setdefault(
        "OMP_WAIT_POLICY", "PASSIVE"
    )  # spinning threads halve the speed where others run too
    os.environ.setdefault(
        "THP_MEM_ALLOC_ENABLE", "1"
    )  # large pages on a CPU: Linux clears them in half the time

from tasks.core.errors import RequestError, WorkError  # noqa: E402
from tasks.core.processes.child import exec_python, start_over  # noqa: E402
from tasks.core.training.hardware import ranks  # noqa: E402
from tasks.core.training.processes.full_card import CardFull  # noqa: E402
from tasks.core.training.processes.launcher import AGAIN, launch  # noqa: E402
from tasks.core.training.spec import TrainingSpec, settings_of  # noqa: E402
from tasks.core.training.stage import backend_of, cards_for, train  # noqa: E402
from tasks.core.training.trials import Trial, run_trials  # noqa: E402

log = logging.getLogger("tasks.core.training")


def main() -> int:
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr
    )  # LEVEL:tasks.…:text, as the parent expects it
    logging.getLogger("tasks").setLevel(logging.INFO)
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        spec = _read_spec(sys.argv[1:])
        if ranks.launched():
            ranks.join()
            if ranks.number():
                logging.disable(logging.ERROR)  # the first process tells
        if "unsloth" not in sys.modules and backend_of(spec).name == "unsloth":
            _begin_again_with_unsloth()
        if len(sys.argv) > 2:
            run_trials(spec, *settings_of(spec), _read_trials(sys.argv[2]))
            return 0
        if not ranks.launched() and (cards := cards_for(spec)) > 1:
            launch(cards, sys.argv[1])
        train(spec)
        ranks.leave()
    except CardFull as error:
        logging.disable(logging.NOTSET)  # whichever card it was
        log.warning("step %d: %s", error.step, error)
        if ranks.launched():
            return AGAIN
        start_over()
    except (RequestError, WorkError) as error:
        return _fail(str(error), 2 if isinstance(error, RequestError) else 1)
    except KeyboardInterrupt:
        return _fail("Interrupted; the next run goes on from the last checkpoint.", 130)
    return 0


def _begin_again_with_unsloth() -> None:
    """Turns this process into one that imports Unsloth first: it replaces parts of what is imported
    here already.
    """
    exec_python("-m", "tasks.core.training.backends.unsloth", *sys.argv[1:])


def _read_spec(arguments: list[str]) -> TrainingSpec:
    if len(arguments) not in (1, 2):
        raise RequestError("Usage: python -m tasks.core.training SPEC.json [TRIALS.json]")
    try:
        return TrainingSpec(**json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise RequestError(f"{arguments[0]} is no training specification: {error}.") from error


def _read_trials(file: str) -> list[Trial]:
    try:
        return [Trial(**trial) for trial in json.loads(Path(file).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise RequestError(f"{file} is no list of trials: {error}.") from error


def _fail(message: str, code: int) -> int:
    sys.stderr.write(
        f"error: {message}\n"
    )  # in one write: several cards' processes may fail at once
    return code


if __name__ == "__main__":
    sys.exit(main())
