-- Rows that repeat a ticker's day: how many, an example, and the files that hold it.
WITH repeated AS (
    SELECT
        date,
        ticker,
        count(*) - 1 AS rows,
        string_agg(DISTINCT partition_file, ' and ' ORDER BY partition_file) AS held_by
    FROM market_rows($files, $until)
    GROUP BY date, ticker
    HAVING count(*) > 1
)
SELECT
    sum(rows),
    arg_min(ticker || ' on ' || date, (date, ticker)),
    arg_min(held_by, (date, ticker))
FROM repeated;
