-- What was dropped of the given files, as (what, rows). $names are their names.
SELECT $names[file + 1] || ': ' || reason AS what, count(*) AS rows
FROM incoming
WHERE reason IS NOT NULL
GROUP BY ALL
UNION ALL
SELECT $names[file + 1] || ': index without a date or a close', count(*)
FROM index_rows
WHERE date IS NULL OR close IS NULL
GROUP BY ALL
ORDER BY what;
