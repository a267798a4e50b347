-- Creates checked_rows: every row of the partitions, those that do not count too, with its file and
-- the month that the file's path names.
CREATE TEMP TABLE checked_rows AS
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
    FROM partition_rows($files)
)
SELECT
    date::DATE AS date,
    plain_ticker(ticker) AS ticker,
    open::DOUBLE AS open,
    high::DOUBLE AS high,
    low::DOUBLE AS low,
    close::DOUBLE AS close,
    volume::DOUBLE AS volume,
    market_cap::DOUBLE AS market_cap,
    partition_file,
    regexp_extract(partition_file, '.*year=([0-9]{4})/month=', 1)::INTEGER AS year,
    regexp_extract(partition_file, '.*/month=0*([0-9]{1,2})/[^/]*$', 1)::INTEGER AS month
FROM all_rows;
