-- Creates market_days: every day's market return in % (move) and breadth, with their windows, up to
-- $until. snapshots.sql rounds them. $weights is a value of the setting market.weights.
-- Money is summed as integers (1e-6 won): sums of doubles depend on the order in which threads
-- finish.
CREATE OR REPLACE TEMP TABLE market_days AS
WITH hashed AS (
    -- Sorted by a number, not by text, and all at once: a third less time than PARTITION BY ticker.
    -- That two of a few thousand tickers share 64 bits will not happen.
    SELECT date, close, market_cap, hash(ticker) AS name
    FROM market_rows($files, $until)
),
moves AS (
    SELECT
        date,
        market_cap,
        CASE
            WHEN lag(name) OVER by_name = name THEN close / lag(close) OVER by_name - 1
        END AS change,
        lag(market_cap) OVER by_name AS previous_cap,
        coalesce(
            lag(name) OVER by_name = name AND lag(date) OVER by_name = date, false
        ) AS repeated
    FROM hashed
    WINDOW by_name AS (ORDER BY name, date)
),
weighted AS (
    SELECT
        date,
        change,
        repeated,
        CASE
            WHEN change IS NULL THEN NULL
            WHEN $weights = 'same_day' THEN market_cap
            -- As an index does, without a cap of the day before: today's shares at that day's close.
            ELSE coalesce(previous_cap, market_cap / (1 + change))
        END AS weight
    FROM moves
),
days AS (
    SELECT
        date,
        100 * sum((change * weight * 1e6)::HUGEINT)::DOUBLE
            / sum((weight * 1e6)::HUGEINT)::DOUBLE AS move,
        100 * count(*) FILTER (change > 0 AND weight IS NOT NULL)
            / nullif(count(weight), 0) AS breadth,
        -- The limit is that of returns_beyond_limit.sql.
        count(*) FILTER (abs(change) > 0.31 AND weight IS NOT NULL) AS leaps,
        count(*) FILTER (repeated) AS repeated
    FROM weighted
    GROUP BY date
)
SELECT
    date,
    move,
    breadth,
    leaps,
    repeated,
    sum(move) OVER last_ten AS momentum,
    stddev_samp(move) OVER last_ten * sqrt(252) AS volatility,
    row_number() OVER (ORDER BY date) AS number
FROM days
WHERE move IS NOT NULL OR repeated > 0  -- a repeated row is refused, wherever it is
WINDOW last_ten AS (ORDER BY date ROWS BETWEEN 9 PRECEDING AND CURRENT ROW);
