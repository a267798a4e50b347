-- The partition of the month that begins on $first, in a fixed order of rows.
SELECT
    date,
    ticker,
    open,
    high,
    low,
    close,
    volume,
    market_cap,
    pe_ratio,
    pb_ratio,
    market_cap_listing,
    rsi_14,
    sma_5,
    sma_10,
    sma_20,
    sma_60
FROM merged
WHERE close IS NOT NULL AND date >= $first AND date < $first::DATE + INTERVAL 1 MONTH
ORDER BY date, ticker;
