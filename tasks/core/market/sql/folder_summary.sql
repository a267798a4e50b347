-- What a market folder holds: the rows that count, their days and tickers, and the share of rows
-- with each optional value.
SELECT
    count(*) AS rows,
    count(DISTINCT date) AS days,
    count(DISTINCT ticker) AS tickers,
    strftime(min(date), '%Y-%m-%d') AS first,
    strftime(max(date), '%Y-%m-%d') AS last,
    round(100 * count(market_cap) / count(*), 1) AS with_market_cap_pct,
    round(100 * count(per) / count(*), 1) AS with_per_pct,
    round(100 * count(pbr) / count(*), 1) AS with_pbr_pct
FROM market_rows($files, $until);
