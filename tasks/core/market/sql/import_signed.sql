-- Brokers' programs sign a price by its change: where a file writes +71300, its -71300 is a price too.
-- $file is its position among the files.
UPDATE incoming
SET
    open = abs(open),
    high = abs(high),
    low = abs(low),
    close = abs(close),
    market_cap = abs(market_cap),
    reason = CASE WHEN reason <> 'negative price' THEN reason END
WHERE file = $file AND EXISTS (FROM incoming WHERE file = $file AND signed);
