-- What is odd in one partition, as (problem, rows, an example). $year and $month are those of its
-- path.
WITH all_rows AS (
    FROM (
        SELECT
            NULL::DATE AS date,
            NULL::VARCHAR AS ticker,
            NULL::DOUBLE AS open,
            NULL::DOUBLE AS high,
            NULL::DOUBLE AS low,
            NULL::DOUBLE AS close,
            NULL::DOUBLE AS volume,
            NULL::DOUBLE AS market_cap
        WHERE false
    )
    UNION ALL BY NAME
    FROM read_parquet($files, hive_partitioning = false)
),
typed AS (
    SELECT
        date::DATE AS date,
        plain_ticker(ticker) AS ticker,
        open::DOUBLE AS open,
        high::DOUBLE AS high,
        low::DOUBLE AS low,
        close::DOUBLE AS close,
        volume::DOUBLE AS volume,
        market_cap::DOUBLE AS market_cap
    FROM all_rows
),
problems AS (
    SELECT 'have no date' AS problem, date, ticker FROM typed
    WHERE date IS NULL
    UNION ALL
    SELECT 'lie in another month than their partition', date, ticker FROM typed
    WHERE year(date) <> $year OR month(date) <> $month
    UNION ALL
    SELECT 'have no six-character code', date, ticker FROM typed
    WHERE NOT coalesce(regexp_full_match(ticker, '[0-9][0-9A-Z]{5}'), false)
    UNION ALL
    SELECT 'repeat a ticker''s day', date, ticker FROM typed
    GROUP BY date, ticker HAVING count(*) > 1
    UNION ALL
    SELECT 'have no close above 0', date, ticker FROM typed
    WHERE NOT coalesce(close > 0 AND isfinite(close), false)
    UNION ALL
    -- Adjusted prices are rounded one by one: a won and a thousandth more or less is no problem.
    SELECT 'have a high below their low, open or close', date, ticker FROM typed
    WHERE high < greatest(low, open, close) * 0.999 - 1 AND open > 0
    UNION ALL
    SELECT 'have a low above their open or close', date, ticker FROM typed
    WHERE low > least(open, close) * 1.001 + 1 AND open > 0
    UNION ALL
    SELECT 'have a negative volume', date, ticker FROM typed
    WHERE volume < 0
    UNION ALL
    SELECT 'have a market cap that is not above 0', date, ticker FROM typed
    WHERE market_cap <= 0
    UNION ALL
    SELECT 'fall on a weekend', date, ticker FROM typed
    WHERE isodow(date) > 5
)
SELECT
    problem,
    count(*),
    min(coalesce(ticker, 'no code') || ' on ' || coalesce(date::VARCHAR, 'no date'))
FROM problems
GROUP BY problem
ORDER BY problem;
