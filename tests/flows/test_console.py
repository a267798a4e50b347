"""What a run prints: steps as they end, a warning once."""

import logging

from flows.console import RunHandler, say


def record(text, level=logging.WARNING, **extra):
    made = logging.LogRecord("tasks.core", level, __file__, 1, text, None, None)
    made.__dict__.update(extra)
    return made


def test_a_warning_that_several_steps_raise_is_printed_once(capsys):
    handler = RunHandler()
    for _ in range(3):
        handler.emit(record("No Ollama on this machine."))
        handler.emit(record("a plain word", logging.INFO))
    handler.emit(record("ran", logging.INFO, outcome="ran", step="quantize", seconds=6.4))
    told = capsys.readouterr().err
    assert told.count("! No Ollama on this machine.") == 1
    assert told.count("a plain word") == 3
    assert "quantize    ran             6.4 s" in told


def test_a_tables_lines_stay_whole_and_prose_is_wrapped(capsys):
    line = "  yes  start weights  420 of 420 matrices" + 60 * " " + "all"
    for text in (line, 60 * "word "):
        RunHandler().emit(record(text, logging.INFO))
    told = capsys.readouterr().err.splitlines()
    assert f"  {line}" in told
    assert len(told) > 3


def test_what_a_terminal_would_obey_is_shown(capsys):
    say("\x1b[2Jgone")
    assert capsys.readouterr().err == "\\x1b[2Jgone\n"
