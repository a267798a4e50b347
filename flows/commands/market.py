"""kospilot market: daily market parquet imported, updated, checked, described, drawn, generated."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands.options import Json
from flows.console import print_json, say, stderr, stdout, table
from tasks.core.errors import RequestError, WorkError
from tasks.core.settings.tree import Weights

if TYPE_CHECKING:
    from tasks.core.market.check import Findings

app = typer.Typer(
    name="market",
    no_args_is_help=True,
    help="Market parquet: import, regimes, plot, check, update, demo.",
)
Folder = Annotated[Path, typer.Argument(help="A market folder: year=YYYY/month=M/data.parquet.")]
Market = Annotated[Path, typer.Option("--market", help="The market folder.")]


@app.command("import")
def import_files(
    files: Annotated[
        list[Path], typer.Argument(help="OHLCV or market-cap tables: parquet, CSV, CSV.gz.")
    ],
    market: Market,
    listing: Annotated[
        Path | None, typer.Option(help="A KRX listing CSV: shares for market caps.")
    ] = None,
    allow_closed_days: Annotated[
        bool,
        typer.Option("--allow-closed-days", help="Take rows on weekends and on days to come."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Imports tables into a market folder; says what it dropped and what it derived."""
    from tasks.core.market.importer import import_tables

    with stderr.status("import") as status:

        def show(share: float, text: str) -> None:
            status.update(text)

        report = import_tables(files, market, listing, show, allow_closed_days)
    _show_and_tell(report, market, as_json)


@app.command()
def regimes(
    market: Market,
    start: Annotated[str | None, typer.Option(help="First day, YYYY-MM-DD.")] = None,
    end: Annotated[str | None, typer.Option(help="Last day, YYYY-MM-DD.")] = None,
    days: Annotated[bool, typer.Option("--days", help="Also every day's snapshot.")] = False,
    weights: Annotated[
        Weights, typer.Option(help="The cap by which a stock counts, as market.weights.")
    ] = "previous_day",
    as_json: Json = False,
) -> None:
    """Shows how many days there are of each regime."""
    from tasks.core.market.regimes import regimes_report

    report = regimes_report(market, start, end, days, weights)
    if as_json:
        print_json(report)
        return
    stdout.print(f"{report['days']:,} days, {report['first']} to {report['last']}", markup=False)
    stdout.print(f"Weighted by market cap: market.weights={report['weights']}.", markup=False)
    if report["generated"]:
        stdout.print("The prices are invented: a generated demo market.", markup=False)
    if report["market_cap_listings"]:
        listings = ", ".join(report["market_cap_listings"])
        stdout.print(f"Weights from share counts of {listings}.", markup=False)
    rows = []
    for regime, count in report["counts"].items():
        share = 100 * count / max(report["days"], 1)
        rows.append((regime, count, f"{share:.1f} %"))
    table("", ("regime", "days", "share"), rows)
    if report["beyond_limit"]:
        say(
            f"{report['beyond_limit']:,} returns beyond KRX's daily limit are in it:"
            f" `kospilot market check {market}`."
        )
    if report["odd"]:
        say(f"! {'; '.join(report['odd'])}: `kospilot market check {market}` says more.")
    if days and report["snapshots"]:
        snapshots = [list(day.values()) for day in report["snapshots"]]
        table("", list(report["snapshots"][0]), snapshots)


@app.command()
def plot(
    folder: Annotated[
        Path | None, typer.Argument(help="A market folder; or name it with --market.")
    ] = None,
    market: Annotated[Path | None, typer.Option("--market", help="The market folder.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The PNG to write; else FOLDER-regimes.png here.")
    ] = None,
    start: Annotated[str | None, typer.Option(help="First day, YYYY-MM-DD.")] = None,
    end: Annotated[str | None, typer.Option(help="Last day, YYYY-MM-DD.")] = None,
) -> None:
    """Draws the index over bands of regime, with breadth and volatility."""
    from tasks.core.market.plot import draw_market

    chosen = market or folder
    if chosen is None or (market and folder):
        raise RequestError("Name one market folder: kospilot market plot --market DIR")
    file = out or Path(f"{chosen.resolve().name}-regimes.png")
    draw_market(chosen, file, start, end)
    stdout.print(str(file), markup=False, soft_wrap=True)


@app.command()
def check(
    folder: Annotated[
        Path | None, typer.Argument(help="A market folder: year=YYYY/month=M/data.parquet.")
    ] = None,
    names: Annotated[
        bool, typer.Option("--names", help="Compare the universe's codes and names with KRX's.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Reads every partition; tells what is wrong (exit code 1), what is odd, and what is there.

    With --names it also compares the universe with KRX's listing.
    """
    from tasks.core.market.check import Findings, check_market, check_names

    if folder is None and not names:
        raise RequestError("Name a market folder, or compare the universe with KRX: --names.")
    found = check_market(folder) if folder else Findings([], [], {})
    if names:
        from tasks.core.market.krx import fetch_names

        found = replace(found, errors=[*found.errors, *check_names(fetch_names())])
    if as_json:
        print_json(asdict(found))
    else:
        _show_findings(found)
    counts = f"{_counted(found.errors, 'error')}, {_counted(found.warnings, 'warning')}."
    if found.errors:
        raise WorkError(f"{folder or 'the universe'}: {counts}")
    say(f"{folder or 'the universe'}: {counts if found.warnings else 'nothing wrong.'}")


def _show_findings(found: "Findings") -> None:
    for error in found.errors:
        stdout.print(f"- error: {error}", markup=False, soft_wrap=True)
    for warning in found.warnings:
        stdout.print(f"- warning: {warning}", markup=False, soft_wrap=True)
    for name, value in found.summary.items():
        stdout.print(f"{name}: {value}", markup=False, soft_wrap=True)


def _counted(texts: list[str], noun: str) -> str:
    return f"{len(texts)} {noun}{'' if len(texts) == 1 else 's'}"


@app.command()
def update(folder: Folder, as_json: Json = False) -> None:
    """Adds the days that the folder lacks, from KRX.

    A new folder is filled with the universe since 2020.
    """
    from datetime import UTC, datetime

    from tasks.core.market.krx import fetch_listing, fetch_prices
    from tasks.core.market.update import last_closed_day, update_market

    listing = fetch_listing()
    last = last_closed_day(datetime.now(UTC))
    with stderr.status("KRX") as status:

        def show(share: float, text: str) -> None:
            status.update(f"KRX: {text}")

        report = update_market(folder, fetch_prices, listing, last, show)
    _show_and_tell(report, folder, as_json)


@app.command()
def demo(
    folder: Folder,
    seed: Annotated[int, typer.Option(help="Another seed invents other prices.")] = 42,
    stocks: Annotated[int, typer.Option(min=2, help="Stocks, spread over the sectors.")] = 40,
) -> None:
    """Generates the demo market: real codes, invented prices, marked as generated."""
    from tasks.core.market.demo import generate_demo_market

    generate_demo_market(folder, seed, stocks)
    say(f"{folder}: two years of invented prices for real KRX codes; GENERATED.json says so.")


def _show_and_tell(report: dict[str, Any], market: Path, as_json: bool) -> None:
    """Shows an import's report, and tells a running server of it."""
    if as_json:
        print_json(report)
    else:
        _show_report(report)
    if _tell_server(market.resolve()):
        say("The server was told: kospilot.market.updated.")


def _show_report(report: dict[str, Any]) -> None:
    for name, value in report.items():
        if isinstance(value, dict):
            parts = [f"{part}: {number}" for part, number in value.items()]
            value = "; ".join(parts) or "none"
        stdout.print(f"{name}: {value}", markup=False, soft_wrap=True)


def _tell_server(market: Path) -> bool:
    """Emits kospilot.market.updated if a kospilot server is there, whose `refresh` then looks.

    False if nobody was told.
    """
    from flows.server import deliver_logs, use_known_server
    from tasks.core.settings.home import kospilot_home

    if not use_known_server(kospilot_home()):
        return False
    from prefect.events import emit_event

    from tasks.core.market.news import FOLDER_LABEL, MARKET_UPDATED

    resource = {
        "prefect.resource.id": f"kospilot.market.{market.name}",
        "prefect.resource.name": market.name,
        FOLDER_LABEL: str(market),
    }
    event = emit_event(MARKET_UPDATED, resource=resource, payload={"folder": str(market)})
    deliver_logs()
    return event is not None
