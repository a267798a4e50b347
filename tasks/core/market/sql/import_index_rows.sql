-- Adds an index table's days to index_rows, read cell by cell. The relation source is the file's
-- table, $file its position among the files.
INSERT INTO index_rows BY NAME
SELECT
    day_of(date) AS date,
    CASE WHEN number_of(close) > 0 THEN number_of(close) END AS close,
    $file AS file,
    row
FROM source;
