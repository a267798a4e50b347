-- What an import did, as (part, what, rows): a row for each kind of dropped, derived, missing and
-- odd value. $names are the given files' names.
SELECT
    'dropped' AS part,
    $names[file + 1] || ': valuation without a price that day, e.g. '
        || min(ticker || ' on ' || date) AS what,
    count(*) AS rows
FROM merged
WHERE close IS NULL AND file IS NOT NULL
GROUP BY file
UNION ALL
SELECT
    'unreadable',
    $names[file + 1] || ': ' || unread || ', e.g. ''' || left(arg_min(unread_cell, row), 40)
        || ''' in row ' || min(row),
    count(*)
FROM incoming
WHERE reason IS NULL AND unread IS NOT NULL
GROUP BY file, unread
UNION ALL
SELECT
    'derived',
    $names[file + 1] || ': signs of the prices left out, which tell the change',
    count(*)
FROM incoming
WHERE reason IS NULL AND signed
GROUP BY file
UNION ALL
SELECT 'derived', $names[file + 1] || ': market cap = close x the shares of the same row', count(*)
FROM incoming
WHERE reason IS NULL AND own_shares
GROUP BY ALL
UNION ALL
SELECT 'derived', $names[file + 1] || ': leading zeros of the code restored', count(*)
FROM incoming
WHERE reason IS NULL AND restored
GROUP BY ALL
UNION ALL
SELECT
    'derived',
    'market cap = close x the shares of a listing (' || market_cap_listing || ')',
    count(*)
FROM merged
WHERE close IS NOT NULL AND market_cap_listing IS NOT NULL
GROUP BY ALL
UNION ALL
SELECT
    'missing',
    'market cap, of ' || count(DISTINCT ticker) || ' tickers: no weight in the market''s return',
    count(*)
FROM merged
WHERE close IS NOT NULL AND market_cap IS NULL
HAVING count(*) > 0
UNION ALL
SELECT
    'odd',
    'returns beyond KRX''s daily limit of 30 % (splits in raw prices?), e.g. '
        || arg_max(
            ticker || ' on ' || date || ' (' || round(100 * (ratio - 1), 1) || ' %)', abs(ratio - 1)
        ),
    count(*)
FROM (
    SELECT *, close / lag(close) OVER (PARTITION BY ticker ORDER BY date) AS ratio
    FROM merged
    WHERE close IS NOT NULL
)
WHERE file IS NOT NULL AND is_beyond_limit(ratio - 1)
HAVING count(*) > 0
UNION ALL
SELECT 'derived', $names[file + 1] || ': no tickers, kept as the index for `market plot`', count(*)
FROM index_rows
WHERE date IS NOT NULL AND close IS NOT NULL
GROUP BY ALL
ORDER BY part, what;
