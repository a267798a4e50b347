"""A step that fails is tried again as it says; a wrong request is answered at once."""

import pytest
from prefect.states import Failed

from tasks.core.errors import RequestError, WorkError
from tasks.steps import TASKS


@pytest.mark.parametrize(
    ("error", "again"),
    [(WorkError("no network"), True), (OSError(), True), (RequestError("no such id"), False)],
)
def test_a_wrong_request_is_not_tried_again(error, again):
    download = TASKS["download"]
    assert (download.retries, download.retry_delay_seconds) == (2, [5, 30])
    assert download.retry_condition_fn(None, None, Failed(data=error)) is again
