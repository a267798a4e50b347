-- In a file that keeps codes as text, 15.0 was another code: Excel takes 0015E0 for a number.
-- $file is its position among the files.
UPDATE incoming
SET reason = 'no six-character code'
WHERE
    file = $file AND floated AND reason IS NULL
    AND EXISTS (
        FROM incoming
        WHERE file = $file AND NOT floated AND (ticker[1] = '0' OR NOT regexp_full_match(ticker, '[0-9]+'))
    );
