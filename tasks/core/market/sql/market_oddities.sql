-- Of market_days: the days around the first gap, and the number of gaps; the first day on which
-- market caps change their unit, and the number of such days. A gap is as long as in
-- market_problems.sql.
SELECT
    min(previous) FILTER (date - previous > 14),
    min(date) FILTER (date - previous > 14),
    count(*) FILTER (date - previous > 14),
    min(date) FILTER (rescaled > 0),
    count(*) FILTER (rescaled > 0)
FROM market_days;
