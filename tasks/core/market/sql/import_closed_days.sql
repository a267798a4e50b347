-- The given rows on days on which KRX cannot have traded: how many, and the first day and row.
-- $file is the position of their table among the files.
SELECT
    count(*) FILTER (is_weekend(date)) AS weekends,
    count(*) FILTER (is_to_come(date)) AS to_come,
    strftime(arg_min(date, row), '%Y-%m-%d') AS day,
    min(row) AS row
FROM incoming
WHERE file = $file AND reason IS NULL AND (is_weekend(date) OR is_to_come(date));
