-- What came of the given files: rows read, rows kept, and the days and tickers of those.
SELECT
    (SELECT count(*) FROM incoming),
    count(*),
    count(DISTINCT date),
    count(DISTINCT ticker),
    strftime(min(date), '%Y-%m-%d'),
    strftime(max(date), '%Y-%m-%d')
FROM merged
WHERE close IS NOT NULL AND file IS NOT NULL;
