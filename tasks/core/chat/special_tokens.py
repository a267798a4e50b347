"""The special tokens of the chat templates in use: <|im_end|>, <start_of_turn>, [INST], </s> …"""

import re

SPECIAL_TOKEN = re.compile(
    r"<\|[\w./-]{1,40}\|>|</?(?:s|bos|eos|pad|unk)>|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>"
)
"""In a text that is trained on, one would end a message where it does not end."""
