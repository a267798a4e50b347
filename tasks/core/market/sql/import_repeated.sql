-- Of the rows that give a ticker's day again, the last counts. $file is the file's position.
UPDATE incoming
SET reason = 'repeated: the last row counts', cell = ticker || ' on ' || date
FROM (
    SELECT date AS given_day, ticker AS given_ticker, max(row) AS last_row
    FROM incoming
    WHERE file = $file AND reason IS NULL
    GROUP BY date, ticker
    HAVING count(*) > 1
)
WHERE
    file = $file AND reason IS NULL
    AND date = given_day AND ticker = given_ticker AND row < last_row;
