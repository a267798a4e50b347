-- One row per universe stock and day: what a prompt may quote of it.
-- $tickers: the universe; $days: the snapshot days; the rest as in snapshots.sql.
WITH moves AS (
    SELECT
        date, ticker, close, per, pbr, market_cap,
        close / lag(close) OVER (PARTITION BY ticker ORDER BY date) - 1 AS change
    FROM market_rows($files, $until)
    WHERE ticker IN (SELECT unnest($tickers))
)
SELECT
    strftime(date, '%Y-%m-%d') AS date,
    ticker,
    close,
    round(100 * change, 2) + 0 AS return_pct,
    round(per, 2) AS per,       -- KRX publishes two decimals; float32 files carry 0.46000000834
    round(pbr, 2) AS pbr,
    market_cap
FROM moves SEMI JOIN (SELECT unnest($days)::DATE AS date) USING (date)
ORDER BY date, ticker;
