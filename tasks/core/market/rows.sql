-- The partitions' rows in one shape: one per ticker and day, halts and rows without a price left out.
-- The empty relation gives every optional column a name and a type where no partition has it.
CREATE OR REPLACE TEMP MACRO market_rows(files, until) AS TABLE
SELECT
    date::DATE AS date,
    upper(split_part(trim(ticker::VARCHAR), ' ', 1)) AS ticker,     -- `005930 KP` and `005930` are one name
    close::DOUBLE AS close,
    CASE WHEN market_cap::DOUBLE > 0 AND isfinite(market_cap::DOUBLE) THEN market_cap::DOUBLE END AS market_cap,
    nullif(pe_ratio::DOUBLE, 0) AS per,                             -- 0 is KRX's "no value"
    nullif(pb_ratio::DOUBLE, 0) AS pbr
FROM (
    FROM (
        SELECT
            NULL::DATE AS date, NULL::VARCHAR AS ticker, NULL::DOUBLE AS open, NULL::DOUBLE AS close,
            NULL::DOUBLE AS volume, NULL::DOUBLE AS market_cap, NULL::DOUBLE AS pe_ratio, NULL::DOUBLE AS pb_ratio
        WHERE false
    )
    UNION ALL BY NAME
    FROM read_parquet(files, union_by_name = true, hive_partitioning = false)
)
WHERE date::DATE <= until::DATE
  AND close::DOUBLE > 0 AND isfinite(close::DOUBLE)
  AND NOT (coalesce(open::DOUBLE, 1) = 0 AND coalesce(volume::DOUBLE, 1) = 0);      -- a trading halt: the close is only carried on
