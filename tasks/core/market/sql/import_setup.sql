-- What the import works with: how a cell is read, and tables for the rows of all given files.
CREATE TEMP MACRO text_of(cell) AS nullif(trim(cell::VARCHAR), '');
CREATE TEMP MACRO finite(value) AS CASE WHEN isfinite(value) THEN value END;
-- "6,461" is a number; "-" is none.
CREATE TEMP MACRO number_of(cell) AS finite(try_cast(replace(text_of(cell), ',', '') AS DOUBLE));
CREATE TEMP MACRO day_of(cell) AS coalesce(
    try_cast(text_of(cell) AS DATE), try_strptime(text_of(cell), ['%Y%m%d', '%Y.%m.%d'])::DATE
);
-- KRX also writes A005930.
CREATE TEMP MACRO ticker_of(cell) AS
    regexp_replace(upper(split_part(text_of(cell), ' ', 1)), '^A([0-9][0-9A-Z]{5})$', '\1');
CREATE TEMP MACRO padded(ticker) AS CASE
    WHEN length(ticker) < 6 AND regexp_full_match(ticker, '[0-9]+') THEN lpad(ticker, 6, '0')
    ELSE ticker
END;

CREATE TEMP TABLE incoming (
    date DATE,
    ticker VARCHAR,
    open DOUBLE,
    high DOUBLE,
    low DOUBLE,
    close DOUBLE,
    volume DOUBLE,
    market_cap DOUBLE,
    pe_ratio DOUBLE,
    pb_ratio DOUBLE,
    rsi_14 DOUBLE,
    sma_5 DOUBLE,
    sma_10 DOUBLE,
    sma_20 DOUBLE,
    sma_60 DOUBLE,
    own_shares BOOLEAN,  -- market_cap is the file's own shares x close
    restored BOOLEAN,    -- the code had lost its leading zeros
    file INTEGER,        -- position among the given files: a later file wins
    row BIGINT,          -- position in the file: a later row wins
    reason VARCHAR       -- why the row is dropped, or NULL
);
CREATE TEMP TABLE shares_listed (ticker VARCHAR, shares DOUBLE);
CREATE TEMP TABLE index_rows (date DATE, close DOUBLE, file INTEGER, row BIGINT);
