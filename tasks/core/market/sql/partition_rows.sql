-- Defines partition_rows(files): the partitions' rows as they are, each with its file.
CREATE OR REPLACE TEMP MACRO partition_rows(files) AS TABLE
FROM read_parquet(
    files, union_by_name = true, hive_partitioning = false, filename = 'partition_file'
);
