-- One row per day: return, breadth, momentum, volatility in %, rounded as prompts print them.
-- $files: partitions; $until: nothing after this day is looked at; $since: first day given back (earlier ones warm up).
-- Money is summed as integers (1e-6 won): sums of doubles depend on the order in which threads finish.
WITH moves AS (
    SELECT
        date,
        market_cap,
        close / lag(close) OVER by_ticker - 1 AS change,
        coalesce(lag(date) OVER by_ticker = date, false) AS repeated
    FROM market_rows($files, $until)
    WINDOW by_ticker AS (PARTITION BY ticker ORDER BY date)
),
days AS (
    SELECT
        date,
        100 * sum((change * market_cap * 1e6)::HUGEINT)::DOUBLE / sum((market_cap * 1e6)::HUGEINT)::DOUBLE AS move,
        100 * count(*) FILTER (change > 0) / count(*) AS breadth
    FROM moves
    WHERE change IS NOT NULL AND market_cap IS NOT NULL
    GROUP BY date
),
windows AS (
    SELECT
        date, move, breadth,
        sum(move) OVER last_ten AS momentum,
        stddev_samp(move) OVER last_ten * sqrt(252) AS volatility,
        count(*) OVER last_ten AS rows
    FROM days
    WINDOW last_ten AS (ORDER BY date ROWS BETWEEN 9 PRECEDING AND CURRENT ROW)
)
SELECT
    strftime(date, '%Y-%m-%d') AS date,
    round(move, 2) + 0 AS return_pct,          -- + 0: no negative zero in a prompt
    round(breadth, 1) AS breadth_pct,
    round(momentum, 2) + 0 AS momentum_pct,
    round(volatility, 2) AS volatility_pct,
    (SELECT count(*) FROM moves WHERE repeated) AS repeated
FROM windows
WHERE rows >= 5 AND date >= $since::DATE
ORDER BY date;
