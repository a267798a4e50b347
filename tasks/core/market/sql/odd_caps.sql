-- Market caps that cannot be right: how many rows, and the first. Then the first day from $since on
-- on which caps seem to be in another unit than those before, and how many days there are of them.
WITH caps AS (
    SELECT
        date,
        ticker,
        market_cap,
        close / lag(close) OVER of_ticker AS ratio,
        lag(market_cap) OVER of_ticker AS previous_cap
    FROM market_rows($files, $until)
    WINDOW of_ticker AS (PARTITION BY ticker ORDER BY date)
),
judged AS (
    SELECT
        *,
        is_impossible_cap(market_cap)
            OR is_other_unit(market_cap / previous_cap, ratio) AS is_wrong,
        is_other_cap(market_cap / previous_cap, ratio, 300) AND date >= $since::DATE AS is_leap
    FROM caps
)
SELECT
    count(*) FILTER (is_wrong),
    arg_min(ticker || ' on ' || date || format(' ({:.4g} won)', market_cap), (date, ticker))
        FILTER (is_wrong),
    min(date) FILTER (is_leap),
    count(DISTINCT date) FILTER (is_leap)
FROM judged;
