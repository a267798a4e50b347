"""New days for a market folder before a refresh looks at it, if its settings ask for them."""

import logging
from datetime import UTC, datetime
from pathlib import Path

from tasks.core.errors import RequestError, WorkError
from tasks.core.market.folder import GENERATED, is_generated
from tasks.core.records.artifacts import Progress
from tasks.core.settings.tree import Market

log = logging.getLogger(__name__)


def fetch_new_days(market: Market, folder: Path, progress: Progress) -> None:
    """Adds the days that the folder lacks if market.fetch=krx.

    If KRX cannot be asked, the refresh goes by what is there, with a warning. Raises RequestError
    if the folder's prices are invented.
    """
    if market.fetch == "none":
        return
    if is_generated(folder):
        raise RequestError(
            f"market.fetch=krx is not for {folder}, whose prices are invented ({GENERATED})."
            " Name another folder: market.dir=DIR."
        )
    try:
        added = _fetch(folder, progress)
    except WorkError as error:
        log.warning("No new days from KRX: %s", error)
    except RequestError as nothing_new:
        log.info("%s", nothing_new)
    else:
        log.info("KRX: %s", added)


def _fetch(folder: Path, progress: Progress) -> str:
    from tasks.core.market.krx import fetch_listing, fetch_prices  # noqa: PLC0415  pandas takes a second
    from tasks.core.market.update import last_closed_day, update_market  # noqa: PLC0415

    last = last_closed_day(datetime.now(UTC))
    report = update_market(folder, fetch_prices, fetch_listing(), last, progress)
    return "; ".join(f"{name}: {value}" for name, value in report.items() if value)
