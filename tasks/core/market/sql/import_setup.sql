-- The tables that an import works with: the rows of all given files.
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
    floated BOOLEAN,     -- the code was written as 5930.0
    signed BOOLEAN,      -- the close was written with a plus: signs are those of its change
    file INTEGER,        -- position among the given files: a later file wins
    row BIGINT,          -- position in the file, from 1: a later row wins
    reason VARCHAR,      -- why the row is dropped, or NULL
    cell VARCHAR,        -- what stood where the reason lies
    unread VARCHAR,      -- the column of a cell that is no number, and is left empty
    unread_cell VARCHAR
);
CREATE TEMP TABLE shares_listed (ticker VARCHAR, shares DOUBLE);
CREATE TEMP TABLE index_rows (date DATE, close DOUBLE, file INTEGER, row BIGINT, cell VARCHAR);
