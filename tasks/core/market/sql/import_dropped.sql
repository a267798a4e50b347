-- What was dropped of the given files, as (what, rows), each with its first example. $names are the
-- files' names. A valuation without a price is found once the rows are merged.
SELECT
    $names[file + 1] || ': ' || reason || ', e.g. ' || coalesce('''' || left(arg_min(cell, row), 40) || '''', 'nothing')
        || ' in row ' || min(row) AS what,
    count(*) AS rows
FROM incoming
WHERE reason IS NOT NULL
GROUP BY file, reason
UNION ALL
SELECT
    $names[file + 1] || ': index without a date or a close, e.g. '
        || coalesce('''' || left(arg_min(cell, row), 40) || '''', 'nothing') || ' in row ' || min(row),
    count(*)
FROM index_rows
WHERE date IS NULL OR close IS NULL
GROUP BY file
ORDER BY what;
