-- The market folder's index days: the newest value of each date. present_index is what was there,
-- $names are the given files' names.
SELECT date, arg_max(close, rank) AS close, arg_max(source, rank) AS source
FROM (
    SELECT date, close, source, 0::HUGEINT AS rank
    FROM present_index
    UNION ALL BY NAME
    SELECT
        date,
        close,
        $names[file + 1] AS source,
        (file + 1)::HUGEINT * 1_000_000_000_000 + row AS rank
    FROM index_rows
    WHERE date IS NOT NULL AND close IS NOT NULL
)
GROUP BY date
ORDER BY date;
