-- How many returns KRX's daily limit of 30 % forbids, and an example: splits in raw prices, mostly.
-- Ticks round the limit up a little.
WITH closes AS (
    SELECT date, ticker, close, lag(close) OVER (PARTITION BY ticker ORDER BY date) AS previous
    FROM market_rows($files, $until)
),
moves AS (
    SELECT date, ticker, 100 * (close / previous - 1) AS change
    FROM closes
)
SELECT count(*), min(ticker || ' on ' || date || ' (' || round(change, 1) || ' %)')
FROM moves
WHERE abs(change) > 31;
