"""`python -m tasks.core.training SPEC`: one stage in a process of its own.

SPEC is a spec.TrainingSpec as JSON. If a second file is given, a list of trials.Trial as JSON, only
these are run, and each prints one JSON object on stdout.

Needs neither Prefect nor DuckDB, so it runs alone on a GPU machine. Telemetry goes to stdout, one
JSON object a line; everything else goes to stderr, an error as the last line. If there are several
GPUs it becomes processes/launcher.py, which starts it once per card. If a card is full it starts
itself again with less (processes/full_card.py). Exit codes: 0 done, 1 the work failed, 2 the
request was wrong.
"""

import logging
import os
import sys
import warnings
from pathlib import Path


def _prepare_environment() -> None:
    """Sets what PyTorch and other libraries read while they are imported."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    # everything was fetched before, and nothing may wait for a network
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # micro-batches differ in size, and so do the blocks of memory that they need
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    # spinning threads halve the speed if other programs run too
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # large pages on a CPU: Linux clears them in half the time
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    # a process that torchrun started, one of several, sees only its own card
    cards = os.environ.get("CUDA_VISIBLE_DEVICES")
    if cards and "LOCAL_RANK" in os.environ:
        number = int(os.environ["LOCAL_RANK"])
        os.environ["CUDA_VISIBLE_DEVICES"] = cards.split(",")[number]


if __name__ == "__main__":  # a program that only imports this file keeps its environment
    _prepare_environment()

from tasks.core.errors import RequestError, WorkError  # noqa: E402
from tasks.core.files.json_files import read_json  # noqa: E402
from tasks.core.processes.child import exec_python, start_over  # noqa: E402
from tasks.core.training.backends.assembly import backend_of, count_cards  # noqa: E402
from tasks.core.training.hardware import ranks  # noqa: E402
from tasks.core.training.processes.full_card import CardFull  # noqa: E402
from tasks.core.training.processes.launcher import AGAIN, launch  # noqa: E402
from tasks.core.training.spec import TrainingSpec, settings_of  # noqa: E402
from tasks.core.training.stage import train  # noqa: E402
from tasks.core.training.trials import Trial, run_trials  # noqa: E402

log = logging.getLogger("tasks.core.training")


def main() -> int:
    """Trains the stage or runs the trials that the arguments ask for; returns the exit code."""
    # LEVEL:tasks.…:text, as the parent process expects it
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("tasks").setLevel(logging.INFO)
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        _carry_out(sys.argv[1:])
    except CardFull as error:
        return _try_again(error)
    except RequestError as error:
        return _fail(str(error), 2)
    except WorkError as error:
        return _fail(str(error), 1)
    except KeyboardInterrupt:
        return _fail("Interrupted; the next run goes on from the last checkpoint.", 130)
    return 0


def _carry_out(arguments: list[str]) -> None:
    spec = _read_spec(arguments)
    if ranks.launched():
        ranks.join()
        if ranks.number() > 0:
            logging.disable(logging.ERROR)  # the first process logs
    if "unsloth" not in sys.modules and backend_of(spec).name == "unsloth":
        # Unsloth has to be imported first: it replaces parts of what is imported here already
        exec_python("-m", "tasks.core.training.backends.unsloth", *arguments)
    if len(arguments) == 2:
        run_trials(spec, settings_of(spec), _read_trials(arguments[1]))
        return
    if not ranks.launched():
        cards = count_cards(spec)
        if cards > 1:
            launch(cards, arguments[0])
    train(spec)
    ranks.leave()


def _try_again(error: CardFull) -> int:
    """Starts this program over, or lets the launcher do so with all of its processes."""
    logging.disable(logging.NOTSET)  # any of the processes may be the one whose card was full
    log.warning("step %d: %s", error.step, error)
    if ranks.launched():
        return AGAIN
    start_over()


def _read_spec(arguments: list[str]) -> TrainingSpec:
    if len(arguments) not in (1, 2):
        raise RequestError("Usage: python -m tasks.core.training SPEC.json [TRIALS.json]")
    try:
        return TrainingSpec(**read_json(Path(arguments[0])))
    except (OSError, ValueError, TypeError) as error:
        raise RequestError(f"{arguments[0]} is no training specification: {error}.") from error


def _read_trials(file: str) -> list[Trial]:
    try:
        return [Trial(**trial) for trial in read_json(Path(file))]
    except (OSError, ValueError, TypeError) as error:
        raise RequestError(f"{file} is no list of trials: {error}.") from error


def _fail(message: str, code: int) -> int:
    # in one write, because several cards' processes may fail at once
    sys.stderr.write(f"error: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
