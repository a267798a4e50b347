-- Market caps that cannot be: how many rows, and the first.
WITH caps AS (
    SELECT
        date,
        ticker,
        market_cap,
        close / lag(close) OVER of_ticker AS ratio,
        lag(market_cap) OVER of_ticker AS previous_cap
    FROM market_rows($files, $until)
    WINDOW of_ticker AS (PARTITION BY ticker ORDER BY date)
)
SELECT
    count(*),
    arg_min(ticker || ' on ' || date || format(' ({:.4g} won)', market_cap), (date, ticker))
FROM caps
WHERE
    is_impossible_cap(market_cap) OR is_other_unit(market_cap / previous_cap, ratio);
