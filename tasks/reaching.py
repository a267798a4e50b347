"""Prefect's server may be away for a while: it is restarted, updated, or its network is cut.

A run goes on meanwhile. What only shows how far it is, is left out and told later; what the run
needs of the server, it waits for.
"""

import contextlib
import logging
import math
import time
from collections.abc import Iterator

import httpx
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext, SettingsContext, get_settings_context
from prefect.exceptions import PrefectHTTPStatusError

log = logging.getLogger(__name__)

_ANSWER_WITHIN_S = 10.0
_PASSING = (
    httpx.codes.UNAUTHORIZED,
    httpx.codes.FORBIDDEN,
    httpx.codes.REQUEST_TIMEOUT,
    httpx.codes.TOO_MANY_REQUESTS,
)
_LOOK_EVERY_S = 2.0
_PATIENCE_S = 600.0
_NEXT_TRY_S = 30.0  # after a call that failed: one that hangs takes 10 s of the step's time


@contextlib.contextmanager
def _quick_client() -> Iterator[None]:
    """Prefect's client tries once: it would try for minutes, and the step at work would wait.

    The settings are copied. Prefect's temporary_settings reads all of them anew, also from a .env
    in the folder at hand, which is somebody else's.
    """
    context = get_settings_context()
    now = context.settings
    client = now.client.model_copy(update={"max_retries": 0})
    api = now.api.model_copy(update={"request_timeout": _ANSWER_WITHIN_S})
    quick = now.model_copy(update={"client": client, "api": api})
    with SettingsContext(profile=context.profile, settings=quick):
        yield


class Telling:
    """Tells the server what it need not know at once, and leaves out what it cannot be told."""

    def __init__(self) -> None:
        self._failed = -_NEXT_TRY_S

    def is_worthwhile(self) -> bool:
        """Whether the server was not away a moment ago."""
        return time.monotonic() - self._failed >= _NEXT_TRY_S

    @contextlib.contextmanager
    def passing(self) -> Iterator[None]:
        """Ends quietly if the server is away or busy; the log has a word of it."""
        try:
            with _quick_client():
                yield
        except (httpx.TransportError, PrefectHTTPStatusError) as error:
            if not _may_pass(error):
                raise
            self._failed = time.monotonic()
            log.info("Prefect's server is not told now (%s); the step goes on.", _reason(error))


def _may_pass(error: Exception) -> bool:
    """Whether an error of Prefect's client means that the server is away, busy, or has another
    password for now: none of them is a reason to end a training.
    """
    if isinstance(error, PrefectHTTPStatusError):
        status = error.response.status_code
        return status >= 500 or status in _PASSING
    return isinstance(error, httpx.TransportError)


def await_server() -> None:
    """Returns when Prefect's server answers. What the run tells it next would else end the run.

    A run without a deployment waits for ten minutes only: its server may have ended for good.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    is_workers = context.flow_run.deployment_id is not None
    deadline = math.inf if is_workers else time.monotonic() + _PATIENCE_S
    absence = _absence()
    if absence is None:
        return
    log.warning("Prefect's server does not answer (%s); the run waits for it.", _reason(absence))
    while _absence() is not None:
        if time.monotonic() > deadline:
            return
        time.sleep(_LOOK_EVERY_S)
    log.info("Prefect's server answers again.")


def _absence() -> Exception | None:
    with _quick_client():
        try:
            with get_client(sync_client=True) as client:
                return client.api_healthcheck()
        except (httpx.TransportError, PrefectHTTPStatusError) as error:
            return error


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
