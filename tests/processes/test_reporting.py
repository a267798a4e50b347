"""Programs that tell how far they are: progress is passed on, the result is returned."""

import sys

import pytest

from tasks.core.errors import WorkError
from tasks.core.processes.reporting import run_reporting

TELL = "from tasks.core.processes.reporting import tell_error, tell_progress, tell_result\n"


def run(program):
    seen = []
    command = [sys.executable, "-c", TELL + program]
    return run_reporting(command, lambda share, text: seen.append((share, text))), seen


def test_progress_is_told_apart_from_the_result_and_from_what_libraries_print():
    result, seen = run(
        "tell_progress(0.5, 'half')\nprint('[1, 2]')\nprint('a warning {')\n"
        "tell_result({'rows': 3})\nprint(7)"
    )
    assert (result, seen) == ({"rows": 3}, [(0.5, "half")])


def test_an_error_is_raised_in_the_programs_own_words():
    with pytest.raises(WorkError, match=r"^There are no rows\.$"):
        run("tell_error(ValueError('There are no rows.'))\nraise SystemExit(1)")
