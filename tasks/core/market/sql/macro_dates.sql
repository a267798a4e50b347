-- What is wrong with the macro table's dates: rows without one, rows that repeat one, an example.
SELECT
    count(*) FILTER (date IS NULL),
    count(date) - count(DISTINCT date),
    mode(date)
FROM macro;
