"""No text of a stranger steers a terminal."""

from tasks.core.scripts import visible


def test_signs_that_a_terminal_obeys_are_written_out():
    text = "\x1b[2Jgone\r\x07 \x9b31m\u202etxt"
    assert visible(text) == r"\x1b[2Jgone\r\x07 \x9b31m\u202etxt"


def test_line_ends_and_tabs_stay():
    assert visible("두 줄\n\t{}") == "두 줄\n\t{}"
