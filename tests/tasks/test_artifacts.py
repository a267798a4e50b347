"""A failure that may pass is tried again; a wrong request is answered at once."""

import pytest
from prefect.states import Failed

from tasks.artifacts import cached
from tasks.core.errors import RequestError, WorkError


@pytest.mark.parametrize(
    ("error", "again"),
    [(WorkError("no network"), True), (OSError(), True), (RequestError("no such id"), False)],
)
def test_a_wrong_request_is_not_tried_again(error, again):
    assert cached("download")["retry_condition_fn"](None, None, Failed(data=error)) is again
