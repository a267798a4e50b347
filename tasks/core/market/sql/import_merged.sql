-- Creates merged: what the touched months hold afterwards, per ticker and day the newest value that
-- there is of each column.
-- A given market cap beats a derived one; $listing_date marks those that come from the listing's
-- share count.
CREATE TEMP TABLE merged AS
WITH present AS (
    FROM (
        SELECT
            NULL::DATE AS date,
            NULL::VARCHAR AS ticker,
            NULL::DOUBLE AS open,
            NULL::DOUBLE AS high,
            NULL::DOUBLE AS low,
            NULL::DOUBLE AS close,
            NULL::DOUBLE AS volume,
            NULL::DOUBLE AS market_cap,
            NULL::DOUBLE AS pe_ratio,
            NULL::DOUBLE AS pb_ratio,
            NULL::DOUBLE AS rsi_14,
            NULL::DOUBLE AS sma_5,
            NULL::DOUBLE AS sma_10,
            NULL::DOUBLE AS sma_20,
            NULL::DOUBLE AS sma_60,
            NULL::VARCHAR AS market_cap_listing
        WHERE false
    )
    UNION ALL BY NAME
    FROM present_rows
),
everything AS (
    SELECT
        * REPLACE (
            date::DATE AS date,
            coalesce(code_of(ticker), upper(trim(ticker::VARCHAR))) AS ticker,
            open::DOUBLE AS open,
            high::DOUBLE AS high,
            low::DOUBLE AS low,
            close::DOUBLE AS close,
            volume::DOUBLE AS volume,
            market_cap::DOUBLE AS market_cap,
            pe_ratio::DOUBLE AS pe_ratio,
            pb_ratio::DOUBLE AS pb_ratio
        ),
        0::HUGEINT AS rank,
        NULL::INTEGER AS file
    FROM present
    UNION ALL BY NAME
    SELECT
        * EXCLUDE (
            own_shares, restored, floated, signed, row, reason, cell, unread, unread_cell
        ),
        NULL::VARCHAR AS market_cap_listing,
        (file + 1)::HUGEINT * 1_000_000_000_000 + row AS rank
    FROM incoming
    WHERE reason IS NULL
),
newest AS (
    SELECT
        date,
        ticker,
        arg_max(open, rank) AS open,
        arg_max(high, rank) AS high,
        arg_max(low, rank) AS low,
        arg_max(close, rank) AS close,
        arg_max(volume, rank) AS volume,
        arg_max(market_cap, rank) FILTER (market_cap_listing IS NULL) AS given_cap,
        max(market_cap) FILTER (market_cap_listing IS NOT NULL) AS derived_cap,
        max(market_cap_listing) AS derived_from,
        arg_max(pe_ratio, rank) AS pe_ratio,
        arg_max(pb_ratio, rank) AS pb_ratio,
        arg_max(rsi_14, rank) AS rsi_14,
        arg_max(sma_5, rank) AS sma_5,
        arg_max(sma_10, rank) AS sma_10,
        arg_max(sma_20, rank) AS sma_20,
        arg_max(sma_60, rank) AS sma_60,
        max(file) AS file
    FROM everything
    GROUP BY date, ticker
)
SELECT
    date,
    ticker,
    open,
    high,
    low,
    close,
    volume::BIGINT AS volume,
    coalesce(given_cap, close * shares, derived_cap) AS market_cap,
    pe_ratio,
    pb_ratio,
    CASE
        WHEN given_cap IS NOT NULL THEN NULL
        WHEN close * shares IS NOT NULL THEN $listing_date
        ELSE derived_from
    END AS market_cap_listing,
    rsi_14,
    sma_5,
    sma_10,
    sma_20,
    sma_60,
    file  -- the last file that said something of this row, or NULL
FROM newest LEFT JOIN shares_listed USING (ticker);
