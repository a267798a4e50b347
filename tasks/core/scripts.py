"""Writing systems as ranges of Unicode, stated once for data, checks and evaluation."""

import re

HANGUL = re.compile("[\uac00-\ud7a3\u3131-\u318e]")
"""Korean syllables and compatibility letters."""

HANJA = re.compile(
    "[\u2e80-\u2fdf\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]"
)
"""CJK ideographs and radicals. The market's Korean does without them: one in an answer means that
the base model's Chinese came through.
"""

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but the tab and the end of a line, and what turns the direction of writing."""


def visible(text: str) -> str:
    """Returns a text in which what a terminal would obey is shown as a code instead: \\x1b."""
    return _STEERING.sub(lambda found: repr(found[0])[1:-1], text)
