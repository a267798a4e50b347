-- Creates market_sums: every day's market return in % (move) and breadth, up to $until, and what
-- speaks against it. $weights is a value of the setting market.weights.
-- Money is summed as integers (1e-6 won): sums of doubles depend on the order in which threads
-- finish.
CREATE OR REPLACE TEMP TABLE market_sums AS
WITH hashed AS (
    -- Sorted by a number, not by text, and all at once: a third less time than PARTITION BY ticker.
    -- That two of a few thousand tickers share 64 bits will not happen.
    SELECT date, close, market_cap, hash(ticker) AS name
    FROM market_rows($files, $until)
),
pairs AS (
    SELECT
        date,
        market_cap,
        CASE WHEN lag(name) OVER by_name = name THEN close / lag(close) OVER by_name END AS ratio,
        lag(market_cap) OVER by_name AS previous_cap,
        coalesce(
            lag(name) OVER by_name = name AND lag(date) OVER by_name = date, false
        ) AS repeated
    FROM hashed
    WINDOW by_name AS (ORDER BY name, date)
),
moves AS (
    SELECT
        date,
        ratio - 1 AS change,
        CASE
            WHEN ratio IS NULL THEN NULL
            WHEN $weights = 'same_day' THEN market_cap
            -- As an index does, without a cap of the day before: today's shares at that day's close.
            ELSE coalesce(previous_cap, market_cap / ratio)
        END AS weight,
        repeated,
        market_cap,
        CASE WHEN ratio IS NOT NULL THEN market_cap / previous_cap END AS cap_ratio
    FROM pairs
),
days AS (
    SELECT
        date,
        100 * sum((change * weight * 1e6)::HUGEINT)::DOUBLE
            / sum((weight * 1e6)::HUGEINT)::DOUBLE AS move,
        100 * count(*) FILTER (change > 0 AND weight IS NOT NULL)
            / nullif(count(weight), 0) AS breadth,
        count(*) FILTER (is_beyond_limit(change) AND weight IS NOT NULL) AS leaps,
        count(*) FILTER (repeated) AS repeated,
        max(market_cap) AS largest_cap,
        max(cap_ratio) AS largest_cap_ratio,
        min(cap_ratio) AS smallest_cap_ratio,
        count(*) AS stocks,
        is_still(count(*) FILTER (change = 0), count(change)) AS still
    FROM moves
    GROUP BY date
)
SELECT
    *,
    lag(date) OVER (ORDER BY date) AS previous,
    date - previous > longest_pause() AS after_a_gap,
    is_thin(stocks, median(stocks) OVER month_before) AS thin
FROM days
WINDOW month_before AS (ORDER BY date ROWS BETWEEN 20 PRECEDING AND 1 PRECEDING);
