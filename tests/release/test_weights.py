"""Single tensors of .safetensors files: what rounding to F16 makes of every kind of number."""

import numpy as np

from tasks.core.release.weights import encode


def test_f16_is_rounded_as_numpy_rounds_it():
    """Around the borders of normal, small and infinite numbers, of either sign."""
    for first in (0x33000000, 0x38800000 - 50_000, 0x3F800000, 0x477FF000 - 100_000):
        bits = np.arange(first, first + 100_000, dtype=np.uint32)
        values = np.concatenate([bits, bits | 0x80000000]).view(np.float32)
        assert bytes(encode(values, "F16")) == values.astype(np.float16).tobytes()


def test_what_is_too_large_for_f16_is_infinite():
    values = np.array([65_504, 65_520, -1e30, 1], np.float32)
    assert np.frombuffer(encode(values, "F16"), np.float16).tolist() == [65_504, np.inf, -np.inf, 1]
