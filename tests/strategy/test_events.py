"""The table of events: its sectors and stocks are the universe's, no text is part of another."""

import re

from tasks.core.strategy import universe
from tasks.core.strategy.events import event_named, events


def test_events_are_of_the_universes_sectors_and_stocks_and_say_no_number():
    sectors = {sector.name for sector in universe.sectors()}
    tickers = {stock.ticker for stock in universe.stocks()}
    assert len(events()) >= 25 and len({event.name for event in events()}) == len(events())
    for event in events():
        assert event.gains | event.loses <= sectors | tickers and not event.gains & event.loses
        assert all(is_moved_but_for(event, ticker) for ticker in event.spared), event.name
        moved = event.gains if event.direction == "POSITIVE" else event.loses
        assert event.primary_sector in moved, event.name
        for text, korean in ((event.ko, True), (event.en, False)):
            assert not re.search(r"\d", text) and not text.endswith(".")
            assert bool(re.search("[가-힣]", text)) == korean


def is_moved_but_for(event, ticker):
    """Whether the event moves the stock's sector and spares the stock."""
    stock = universe.get_stock(ticker)
    return stock.sector in event.gains | event.loses and event.impact_on(stock) is None


def test_a_stock_that_is_named_is_moved_whatever_its_sector():
    event = event_named("memory_price_up")
    impacts = {ticker: event.impact_on(universe.get_stock(ticker)) for ticker in
               ("005930", "066570", "009150", "092220")}  # fmt: skip
    assert impacts == {"005930": "POSITIVE", "066570": "NEGATIVE", "009150": None, "092220": None}


def test_no_events_text_is_part_of_anothers():
    """A question is read by finding an event's text in it."""
    for texts in ([event.ko for event in events()], [event.en for event in events()]):
        assert not [
            (one, other) for one in texts for other in texts if one is not other and one in other
        ]
