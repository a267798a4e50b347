-- Creates present_rows: what the months that an import touches hold already.
CREATE TEMP TABLE present_rows AS
SELECT * EXCLUDE (partition_file)
FROM partition_rows($files);
