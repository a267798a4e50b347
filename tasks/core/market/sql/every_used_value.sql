-- Touches every value that the other queries use, so that a damaged page or a wrong type shows.
SELECT
    max(date),
    max(ticker),
    max(close),
    max(market_cap),
    max(per),
    max(pbr),
    max(sma_20),
    max(sma_60)
FROM market_rows($files, $until);
