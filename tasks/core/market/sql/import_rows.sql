-- Adds one file's rows to incoming, read cell by cell. The relation source is the file's table,
-- $file its position among the files.
INSERT INTO incoming BY NAME
WITH source_rows AS (
    FROM (
        SELECT
            NULL::VARCHAR AS date,
            NULL::VARCHAR AS ticker,
            NULL::VARCHAR AS open,
            NULL::VARCHAR AS high,
            NULL::VARCHAR AS low,
            NULL::VARCHAR AS close,
            NULL::VARCHAR AS volume,
            NULL::VARCHAR AS market_cap,
            NULL::VARCHAR AS pe_ratio,
            NULL::VARCHAR AS pb_ratio,
            NULL::VARCHAR AS shares,
            NULL::VARCHAR AS rsi_14,
            NULL::VARCHAR AS sma_5,
            NULL::VARCHAR AS sma_10,
            NULL::VARCHAR AS sma_20,
            NULL::VARCHAR AS sma_60,
            NULL::BIGINT AS row
        WHERE false
    )
    UNION ALL BY NAME
    FROM source
),
cells AS (
    SELECT
        day_of(date) AS date,
        padded(ticker_of(ticker)) AS ticker,
        padded(ticker_of(ticker)) <> ticker_of(ticker) AS restored,
        number_of(open) AS open,
        number_of(high) AS high,
        number_of(low) AS low,
        CASE WHEN number_of(close) > 0 THEN number_of(close) END AS close,
        number_of(volume) AS volume,
        CASE WHEN number_of(market_cap) > 0 THEN number_of(market_cap) END AS given_cap,
        nullif(number_of(shares), 0) AS shares,
        number_of(pe_ratio) AS pe_ratio,
        number_of(pb_ratio) AS pb_ratio,
        number_of(rsi_14) AS rsi_14,
        number_of(sma_5) AS sma_5,
        number_of(sma_10) AS sma_10,
        number_of(sma_20) AS sma_20,
        number_of(sma_60) AS sma_60,
        row
    FROM source_rows
)
SELECT
    * EXCLUDE (given_cap, shares),
    coalesce(given_cap, close * shares) AS market_cap,
    given_cap IS NULL AND close * shares IS NOT NULL AS own_shares,
    $file AS file,
    CASE
        WHEN date IS NULL
            THEN 'no date'
        WHEN NOT coalesce(regexp_full_match(ticker, '[0-9][0-9A-Z]{5}'), false)
            THEN 'no six-character code'
        WHEN close IS NULL AND pe_ratio IS NULL AND pb_ratio IS NULL
            THEN 'no price'
        WHEN row_number() OVER (PARTITION BY date, ticker ORDER BY row DESC) > 1
            THEN 'repeated: the last row counts'
    END AS reason
FROM cells;
