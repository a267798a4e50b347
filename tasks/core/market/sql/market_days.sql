-- Creates market_days: every day's market return in % (move) and breadth, with their windows, up to
-- $until. snapshots.sql rounds them.
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
        coalesce(
            lag(name) OVER by_name = name AND lag(date) OVER by_name = date, false
        ) AS repeated,
        CASE
            WHEN lag(name) OVER by_name = name
                THEN (market_cap / close) / lag(market_cap / close) OVER by_name
        END AS growth  -- of the shares
    FROM hashed
    WINDOW by_name AS (ORDER BY name, date)
),
days AS (
    SELECT
        date,
        100 * sum((change * market_cap * 1e6)::HUGEINT)::DOUBLE
            / sum((market_cap * 1e6)::HUGEINT) FILTER (change IS NOT NULL)::DOUBLE AS move,
        100 * count(*) FILTER (change > 0 AND market_cap IS NOT NULL)
            / nullif(count(*) FILTER (change IS NOT NULL AND market_cap IS NOT NULL), 0) AS breadth,
        -- The limit is that of returns_beyond_limit.sql.
        count(*) FILTER (abs(change) > 0.31 AND market_cap IS NOT NULL) AS leaps,
        count(*) FILTER (repeated) AS repeated,
        -- As in market_problems.sql: no issue or split does this, another unit of the caps does.
        count(*) FILTER ((growth > 50 OR growth < 0.02) AND change BETWEEN -0.5 AND 1) AS rescaled
    FROM moves
    GROUP BY date
)
SELECT
    date,
    move,
    breadth,
    leaps,
    repeated,
    rescaled,
    lag(date) OVER (ORDER BY date) AS previous,
    sum(move) OVER last_ten AS momentum,
    stddev_samp(move) OVER last_ten * sqrt(252) AS volatility,
    row_number() OVER (ORDER BY date) AS number
FROM days
WHERE move IS NOT NULL OR repeated > 0  -- a repeated row is refused, wherever it is
WINDOW last_ten AS (ORDER BY date ROWS BETWEEN 9 PRECEDING AND CURRENT ROW);
