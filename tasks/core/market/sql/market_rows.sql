-- Defines market_rows(files, until): the partitions' rows in one shape, one per ticker and day.
-- Halts and rows without a price are left out.
CREATE OR REPLACE TEMP MACRO positive(value) AS
    CASE WHEN value::DOUBLE > 0 AND isfinite(value::DOUBLE) THEN value::DOUBLE END;
-- A ratio of 0 is KRX's "no value".
CREATE OR REPLACE TEMP MACRO given_ratio(value) AS
    CASE WHEN isfinite(value::DOUBLE) THEN nullif(value::DOUBLE, 0) END;
CREATE OR REPLACE TEMP MACRO plain_code(code) AS upper(regexp_extract(code::VARCHAR, '[^ ]+'));
-- `005930 KP`, `005930` and a number's 5930 or 5930.0 are one ticker.
CREATE OR REPLACE TEMP MACRO plain_ticker(code) AS CASE
    WHEN regexp_full_match(plain_code(code), '[0-9]{1,5}|[0-9]{1,6}\.0')
        THEN lpad(split_part(plain_code(code), '.', 1), 6, '0')
    ELSE plain_code(code)
END;
-- More than 100,000 tn won, which no company is worth.
CREATE OR REPLACE TEMP MACRO is_impossible_cap(cap) AS cap >= 1e17;
-- Between two rows of a ticker: a cap in another unit (thousands, millions, 억) changes alone.
CREATE OR REPLACE TEMP MACRO is_other_cap(cap_ratio, price_ratio, least) AS
    (cap_ratio > least OR cap_ratio < 1 / least) AND price_ratio BETWEEN 0.5 AND 2;
-- Beyond all doubt.
CREATE OR REPLACE TEMP MACRO is_other_unit(cap_ratio, price_ratio) AS
    is_other_cap(cap_ratio, price_ratio, 3000);
-- Days between two trading days: KRX's longest pause since 1998 were eleven.
CREATE OR REPLACE TEMP MACRO longest_pause() AS 14;
-- A day that was cut off: fewer than half of the stocks of a usual one.
CREATE OR REPLACE TEMP MACRO is_thin(stocks, usual) AS usual >= 10 AND stocks < usual / 2;
-- A day without a market, whose rows repeat the last prices. On real days a fifth is still at most.
CREATE OR REPLACE TEMP MACRO is_still(still, moves) AS moves >= 10 AND still >= 0.95 * moves;
CREATE OR REPLACE TEMP MACRO market_rows(files, until) AS TABLE
WITH every_column AS (
    -- The empty relation gives every optional column a name and a type if no partition has it.
    FROM (
        SELECT
            NULL::DATE AS date,
            NULL::VARCHAR AS ticker,
            NULL::DOUBLE AS open,
            NULL::DOUBLE AS close,
            NULL::DOUBLE AS volume,
            NULL::DOUBLE AS market_cap,
            NULL::VARCHAR AS market_cap_listing,
            NULL::DOUBLE AS pe_ratio,
            NULL::DOUBLE AS pb_ratio,
            NULL::DOUBLE AS sma_20,
            NULL::DOUBLE AS sma_60
        WHERE false
    )
    UNION ALL BY NAME
    FROM partition_rows(files)
)
SELECT
    date::DATE AS date,
    plain_ticker(ticker) AS ticker,
    close::DOUBLE AS close,
    positive(market_cap) AS market_cap,
    -- Not from a later share count.
    CASE WHEN market_cap_listing IS NULL THEN positive(market_cap) END AS given_cap,
    given_ratio(pe_ratio) AS per,
    given_ratio(pb_ratio) AS pbr,
    positive(sma_20) AS sma_20,
    positive(sma_60) AS sma_60,
    partition_file
FROM every_column
WHERE date::DATE <= until::DATE
  AND close::DOUBLE > 0 AND isfinite(close::DOUBLE)
  -- On a trading halt the close is only carried on.
  AND (open::DOUBLE = 0 AND volume::DOUBLE = 0) IS NOT TRUE;
