"""How often each regime held: the table of `kospilot market regimes`. Reads a market folder."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.core.market.files import marks
from tasks.core.market.snapshots import count_regimes, judged_days, regime_of_day


def regimes_report(
    folder: Path, start: str | None, end: str | None, with_days: bool
) -> dict[str, Any]:
    """{"days", "first", "last", "counts": {regime: n}, "beyond_limit"} and the folder's marks;
    "snapshots" with_days.

    A snapshot is its date, its four numbers in % and its regime. beyond_limit counts the stocks'
    returns that KRX's daily limit forbids: splits in raw prices, which distort those days. Raises
    RequestError as `snapshots` does.
    """
    days, beyond_limit = judged_days(folder, start, end)
    report = {
        "days": len(days),
        "first": days[0].date,
        "last": days[-1].date,
        "counts": count_regimes(days),
        "beyond_limit": beyond_limit,
        **marks(folder),
    }
    if with_days:
        report["snapshots"] = [{**asdict(day), "regime": regime_of_day(day)} for day in days]
    return report
