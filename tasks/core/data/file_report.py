"""What is in a training, synthetic or pair file: rows, languages, kinds, regimes, duplicates, lengths, tokens.

Reads parquet, JSON lines, a JSON array or CSV, with `messages`, or `prompt`, `chosen` and `rejected`, and, where the
rows have them, `source` and `metadata` (kind, language, regime, flaw). Writes nothing but pictures and pages, if asked.
"""

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import batched
from pathlib import Path
from typing import Any
