-- Creates checked_moves: the rows that count, each with what changed since its ticker's last one.
CREATE TEMP TABLE checked_moves AS
SELECT
    date,
    ticker,
    close,
    market_cap,
    close / lag(close) OVER of_ticker AS ratio,
    market_cap / lag(market_cap) OVER of_ticker AS cap_ratio,
    CASE
        WHEN ratio IS NOT NULL THEN coalesce(lag(market_cap) OVER of_ticker, market_cap / ratio)
    END AS weight
FROM market_rows($files, $until)
WINDOW of_ticker AS (PARTITION BY ticker ORDER BY date);
