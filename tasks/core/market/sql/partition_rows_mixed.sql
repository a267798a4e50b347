-- Defines partition_rows(files) as partition_rows.sql does, where the days of the files in the
-- variable numbered are numbers or text, and those of others are days.
CREATE OR REPLACE TEMP MACRO partition_rows(files) AS TABLE
FROM read_parquet(
    list_filter(files, lambda file: NOT list_contains(getvariable('numbered'), file)),
    union_by_name = true, hive_partitioning = false, filename = 'partition_file'
)
UNION ALL BY NAME
SELECT * REPLACE (row_day(date) AS date)
FROM read_parquet(
    list_filter(files, lambda file: list_contains(getvariable('numbered'), file)),
    union_by_name = true, hive_partitioning = false, filename = 'partition_file'
);
