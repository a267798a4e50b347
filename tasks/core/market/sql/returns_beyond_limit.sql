-- Returns that KRX's daily limit of 30 % forbids: splits in raw prices, mostly. Ticks round the limit up a little.
WITH moves AS (
    SELECT date, ticker, 100 * (close / lag(close) OVER (PARTITION BY ticker ORDER BY date) - 1) AS change
    FROM market_rows($files, $until)
)
SELECT count(*), min(ticker || ' on ' || date || ' (' || round(change, 1) || ' %)')
FROM moves
WHERE abs(change) > 31;
