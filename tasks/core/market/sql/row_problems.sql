-- What is wrong or odd in single rows of checked_rows, as (severity, problem, rows, an example, its
-- file). An error makes the market's numbers wrong; a warning touches none of them.
WITH problems AS (
    SELECT 'error' AS severity, 'have no date' AS problem, date, ticker, partition_file
    FROM checked_rows
    WHERE date IS NULL
    UNION ALL
    SELECT 'error', 'lie in another month than their partition', date, ticker, partition_file
    FROM checked_rows
    WHERE year(date) <> year OR month(date) <> month
    UNION ALL
    SELECT 'error', 'have no six-character code', date, ticker, partition_file
    FROM checked_rows
    WHERE NOT coalesce(regexp_full_match(ticker, '[0-9][0-9A-Z]{5}'), false)
    UNION ALL
    SELECT 'error', 'fall on a weekend', date, ticker, partition_file
    FROM checked_rows
    WHERE is_weekend(date)
    UNION ALL
    SELECT 'error', 'lie in the future', date, ticker, partition_file
    FROM checked_rows
    WHERE is_to_come(date)
    UNION ALL
    SELECT 'error', 'lie before KRX opened in 1956', date, ticker, partition_file
    FROM checked_rows
    WHERE is_before_krx(date)
    UNION ALL
    SELECT 'error', 'have a market cap of more than 100,000 tn won', date, ticker, partition_file
    FROM checked_rows
    WHERE is_impossible_cap(market_cap)
    UNION ALL
    SELECT 'error', 'have a close below 0 and are left out', date, ticker, partition_file
    FROM checked_rows
    WHERE close < 0
    UNION ALL
    SELECT 'warning', 'have no close and are left out', date, ticker, partition_file
    FROM checked_rows
    WHERE coalesce(close = 0 OR NOT isfinite(close), true) AND NOT coalesce(close < 0, false)
    UNION ALL
    SELECT 'warning', 'have a market cap below 0, which is none', date, ticker, partition_file
    FROM checked_rows
    WHERE market_cap < 0
    UNION ALL
    -- Adjusted prices are rounded one by one: a won and a thousandth more or less is no problem.
    SELECT
        'warning', 'have a high below their low, open or close', date, ticker, partition_file
    FROM checked_rows
    WHERE high < greatest(low, open, close) * 0.999 - 1 AND open > 0 AND isfinite(close)
    UNION ALL
    SELECT 'warning', 'have a low above their open or close', date, ticker, partition_file
    FROM checked_rows
    WHERE low > least(open, close) * 1.001 + 1 AND open > 0 AND close > 0
    UNION ALL
    SELECT 'warning', 'have a negative volume', date, ticker, partition_file
    FROM checked_rows
    WHERE volume < 0
),
found AS (
    SELECT
        *,
        coalesce(ticker, 'no code') || ' on ' || coalesce(date::VARCHAR, 'no date') AS example
    FROM problems
)
SELECT severity, problem, count(*), min(example), arg_min(partition_file, example)
FROM found
GROUP BY severity, problem
ORDER BY severity, problem;
