"""Kinds are found by their names."""

import pytest

from tasks.core.errors import RequestError
from tasks.core.kinds import kind_named


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(
        RequestError, match=r"no kind 'regime'\. Kinds: full_analysis, overnight_gap"
    ):
        kind_named("regime")
