-- Days of tickers that more than one file holds: how many, an example, and the files that hold it.
WITH shared AS (
    SELECT
        date,
        ticker,
        string_agg(DISTINCT partition_file, ' and ' ORDER BY partition_file) AS held_by
    FROM market_rows($files, $until)
    GROUP BY date, ticker
    HAVING min(partition_file) <> max(partition_file)
)
SELECT
    count(*),
    arg_min(ticker || ' on ' || date, (date, ticker)),
    arg_min(held_by, (date, ticker))
FROM shared;
