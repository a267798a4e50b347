-- Adds one file's rows to incoming, read cell by cell. The relation source is the file's table,
-- $file its position among the files, $unit what the numbers of a column count in.
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
        code_of(ticker) AS ticker,
        number_of(open) * $unit.open AS open,
        number_of(high) * $unit.high AS high,
        number_of(low) * $unit.low AS low,
        number_of(close) * $unit.close AS close,
        number_of(volume) * $unit.volume AS volume,
        number_of(market_cap) * $unit.market_cap AS given_cap,
        number_of(shares) * $unit.shares AS shares,
        number_of(pe_ratio) AS pe_ratio,
        number_of(pb_ratio) AS pb_ratio,
        number_of(rsi_14) AS rsi_14,
        number_of(sma_5) AS sma_5,
        number_of(sma_10) AS sma_10,
        number_of(sma_20) AS sma_20,
        number_of(sma_60) AS sma_60,
        row,
        {
            'date': date, 'ticker': ticker, 'open': open, 'high': high, 'low': low, 'close': close,
            'volume': volume, 'market_cap': market_cap, 'shares': shares, 'pe_ratio': pe_ratio,
            'pb_ratio': pb_ratio
        } AS texts
    FROM source_rows
),
judged AS (
    SELECT
        *,
        CASE
            WHEN date IS NULL
                THEN 'no date'
            WHEN is_before_krx(date)
                THEN 'a day before KRX opened'
            WHEN ticker IS NULL
                THEN 'no six-character code'
            WHEN close < 0
                THEN 'negative price'
            WHEN coalesce(close, 0) = 0 AND pe_ratio IS NULL AND pb_ratio IS NULL
                THEN 'no price'
        END AS reason,
        CASE
            WHEN is_unread(close, texts.close) THEN 'close'
            WHEN is_unread(given_cap, texts.market_cap) THEN 'market_cap'
            WHEN is_unread(volume, texts.volume) THEN 'volume'
            WHEN is_unread(shares, texts.shares) THEN 'shares'
            WHEN is_unread(pe_ratio, texts.pe_ratio) THEN 'pe_ratio'
            WHEN is_unread(pb_ratio, texts.pb_ratio) THEN 'pb_ratio'
            WHEN is_unread(open, texts.open) THEN 'open'
            WHEN is_unread(high, texts.high) THEN 'high'
            WHEN is_unread(low, texts.low) THEN 'low'
        END AS unread
    FROM cells
),
priced AS (
    SELECT
        * REPLACE (
            nullif(close, 0) AS close,
            CASE WHEN given_cap > 0 THEN given_cap END AS given_cap,
            nullif(shares, 0) AS shares
        )
    FROM judged
)
SELECT
    * EXCLUDE (given_cap, shares, texts),
    coalesce(given_cap, close * shares) AS market_cap,
    given_cap IS NULL AND close * shares IS NOT NULL AS own_shares,
    CASE
        WHEN length(texts.ticker) <> 6 AND ticker IS NOT NULL
            THEN length(split_part(text_of(texts.ticker), '.', 1)) < 6
    END AS restored,
    is_float(texts.ticker) AS floated,
    starts_with(texts.close, '+') AS signed,
    $file AS file,
    left(
        CASE
            WHEN reason IN ('no date', 'a day before KRX opened') THEN texts.date
            WHEN reason IN ('negative price', 'no price') THEN texts.close
            WHEN reason IS NOT NULL OR is_float(texts.ticker) THEN texts.ticker
        END,
        40
    ) AS cell,
    left(
        CASE unread
            WHEN 'close' THEN texts.close
            WHEN 'market_cap' THEN texts.market_cap
            WHEN 'volume' THEN texts.volume
            WHEN 'shares' THEN texts.shares
            WHEN 'pe_ratio' THEN texts.pe_ratio
            WHEN 'pb_ratio' THEN texts.pb_ratio
            WHEN 'open' THEN texts.open
            WHEN 'high' THEN texts.high
            WHEN 'low' THEN texts.low
        END,
        40
    ) AS unread_cell
FROM priced;
