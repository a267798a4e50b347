-- Adds an index table's days to index_rows, read cell by cell. The relation source is the file's
-- table, $file its position among the files.
INSERT INTO index_rows BY NAME
WITH cells AS (
    SELECT
        day_of(date::VARCHAR) AS date,
        NOT (is_before_krx(day_of(date::VARCHAR)) OR is_to_come(day_of(date::VARCHAR)))
            AS is_possible,
        number_of(close::VARCHAR) AS close,
        row,
        date::VARCHAR AS day_cell,
        close::VARCHAR AS level
    FROM source
)
SELECT
    CASE WHEN is_possible THEN date END AS date,
    CASE WHEN close > 0 THEN close END AS close,
    $file AS file,
    row,
    left(
        CASE
            WHEN is_possible THEN level
            ELSE day_cell
        END,
        40
    ) AS cell
FROM cells;
