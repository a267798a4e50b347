-- The first numbers of a file that no market has, as (column, value, row): a count beyond 2^63, a
-- price of ten billion won, a company worth more than all. $file is its position among the files.
SELECT 'volume', volume, row FROM incoming WHERE file = $file AND abs(volume) >= 9.2e18
UNION ALL
SELECT 'close', close, row FROM incoming WHERE file = $file AND close >= 1e10
UNION ALL
SELECT 'market_cap', market_cap, row FROM incoming WHERE file = $file AND market_cap >= 1e17
ORDER BY row
LIMIT 1;
