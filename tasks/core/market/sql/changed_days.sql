-- The days of which two versions of a table have different rows. Days of one version alone count too.
WITH
earlier AS (SELECT * FROM read_parquet($earlier)),
present AS (SELECT * FROM read_parquet($present)),
different AS (
    (SELECT * FROM earlier EXCEPT SELECT * FROM present)
    UNION ALL
    (SELECT * FROM present EXCEPT SELECT * FROM earlier)
)
SELECT DISTINCT date FROM different ORDER BY date
