-- What is odd in the market as a whole, as (what, an example). A problem that is not there has no
-- example.
WITH rows AS (
    SELECT date, ticker, close, market_cap, market_cap / close AS shares
    FROM market_rows($files, $until)
),
days AS (
    SELECT date, lag(date) OVER (ORDER BY date) AS previous
    FROM (SELECT DISTINCT date FROM rows)
),
counted AS (
    SELECT
        *,
        close / lag(close) OVER of_ticker AS move,
        shares / lag(shares) OVER of_ticker AS change
    FROM rows
    WINDOW of_ticker AS (PARTITION BY ticker ORDER BY date)
)
SELECT
    'no stock has a market cap: without weights there is no market return, as for',
    min(ticker || ' on ' || date)
FROM rows
HAVING count(market_cap) = 0 AND count(*) > 0
UNION ALL
-- KRX's longest pause since 1998 were eleven days.
SELECT
    'more than two weeks lie between two days, whose returns would count as one day''s: ',
    min(previous || ' and ' || date)
FROM days
WHERE date - previous > 14
HAVING count(*) > 0
UNION ALL
SELECT 'days lie in the future, e.g. ', min(date)::VARCHAR
FROM days
WHERE date > current_date + 1
HAVING count(*) > 0
UNION ALL
SELECT 'days lie before KRX opened in 1956, e.g. ', min(date)::VARCHAR
FROM days
WHERE date < DATE '1956-03-03'
HAVING count(*) > 0
UNION ALL
SELECT
    'market caps of more than 100,000 tn won, e.g. ',
    min(ticker || ' on ' || date || ' (' || market_cap || ')')
FROM rows
WHERE market_cap >= 1e17
HAVING count(*) > 0
UNION ALL
-- Real issues and splits change the shares of one company; another unit changes all of a day's.
SELECT
    'market caps change their unit: from one day to the next they are 50 times another, while the'
    || ' prices are not, e.g. ',
    min(ticker || ' on ' || date)
FROM counted
WHERE (change > 50 OR change < 0.02) AND move BETWEEN 0.5 AND 2
HAVING count(*) > 0
UNION ALL
SELECT
    'half of the closes are fractions below 500, which no market in won has (are they in dollars'
    || ' or thousands of won?), e.g. ',
    min(ticker || ' on ' || date || ' (' || round(close, 2) || ')')
FROM rows
HAVING median(close) < 500 AND count(*) FILTER (close <> round(close)) > count(*) / 2;
