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
