-- Defines partition_rows(files) as partition_rows.sql does, where no file's days are days: numbers
-- or text are read as an import reads them.
CREATE OR REPLACE TEMP MACRO partition_rows(files) AS TABLE
SELECT * REPLACE (row_day(date) AS date)
FROM read_parquet(
    files, union_by_name = true, hive_partitioning = false, filename = 'partition_file'
);
