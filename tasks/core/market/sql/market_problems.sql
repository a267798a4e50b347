-- What is wrong or odd in the market as a whole, as (severity, what, how often, an example, what to
-- do about it), from checked_moves. A problem that is not there gives no row. An error makes the
-- market's numbers wrong.
WITH days AS (
    SELECT
        date,
        count(*) AS stocks,
        count(ratio) AS moves,
        count(*) FILTER (ratio = 1) AS still,
        count(weight) AS weights,
        count(market_cap) AS caps,
        max(market_cap) / sum(market_cap) AS largest_share,
        arg_max(ticker, market_cap) AS largest,
        100 * sum((ratio - 1) * weight) FILTER (is_beyond_limit(ratio - 1)) / sum(weight) AS leap
    FROM checked_moves
    GROUP BY date
),
compared AS (
    SELECT
        *,
        lag(date) OVER (ORDER BY date) AS previous,
        median(stocks) OVER around AS usual,
        date || ' (' || stocks || ' of ' || usual::INTEGER || ')' AS shown
    FROM days
    WINDOW around AS (
        ORDER BY date ROWS BETWEEN 20 PRECEDING AND 20 FOLLOWING EXCLUDE CURRENT ROW
    )
),
quiet_months AS (
    SELECT ticker, date_trunc('month', date)::DATE AS month
    FROM checked_moves
    GROUP BY ticker, month
    HAVING count(*) >= 15 AND count(DISTINCT close) = 1
)
SELECT
    'error' AS severity,
    'no stock has a market cap, so there is no market return: rows' AS what,
    count(*) AS often,
    min(ticker || ' on ' || date) AS example,
    'Import the tables again with --listing CSV, whose share counts give caps.' AS remedy
FROM checked_moves
HAVING count(market_cap) = 0 AND count(*) > 0
UNION ALL
SELECT
    'error',
    'days without a market return, as no stock has a market cap',
    count(*),
    min(date)::VARCHAR,
    'Import them again with market caps or with --listing CSV.'
FROM days
WHERE moves > 0 AND weights = 0
HAVING count(*) > 0 AND EXISTS (FROM days WHERE caps > 0)
UNION ALL
SELECT
    'warning',
    'rows without a market cap, which have no weight, are more than a tenth',
    count(*) - count(market_cap),
    min(ticker || ' on ' || date) FILTER (market_cap IS NULL),
    'Caps come from --listing CSV at an import, if the tables have none.'
FROM checked_moves
HAVING count(market_cap) BETWEEN 1 AND 0.9 * count(*)
UNION ALL
SELECT
    'error',
    'too few trading days, for the first that can be judged is the sixth',
    count(*),
    max(date)::VARCHAR,
    'Import more days.'
FROM days
HAVING count(*) < 6
UNION ALL
SELECT
    'warning',
    'so few stocks that breadth says little: on no day more than',
    max(stocks),
    arg_max(date, stocks)::VARCHAR,
    'Import more tickers.'
FROM days
HAVING max(stocks) < 5
UNION ALL
SELECT
    'error',
    'gaps of more than two weeks, where months are missing; the first day after one is left out',
    count(*),
    min(previous || ' to ' || date),
    'Import the days between.'
FROM compared
WHERE date - previous > longest_pause()
HAVING count(*) > 0
UNION ALL
SELECT
    'warning',
    'gaps of more than eight days, as KRX made at Chuseok of 2017 alone',
    count(*),
    min(previous || ' to ' || date),
    'Import the days between, if there are any.'
FROM compared
WHERE date - previous > 8 AND date - previous <= longest_pause()
HAVING count(*) > 0
UNION ALL
SELECT
    'error',
    'days with fewer than half of the stocks of the days around them',
    count(*),
    arg_max(shown, date),
    'Import those days again, whole.'
FROM compared
WHERE is_thin(stocks, usual)
HAVING count(*) > 0
UNION ALL
SELECT
    'warning',
    'days with fewer than four fifths of the stocks of the days around them',
    count(*),
    arg_max(shown, date),
    'Import those days again, if they are not whole.'
FROM compared
WHERE usual >= 10 AND stocks < 0.8 * usual AND NOT is_thin(stocks, usual)
HAVING count(*) > 0
UNION ALL
SELECT
    'error',
    'days on which hardly a close differs from the day before; they are left out',
    count(*),
    min(date)::VARCHAR,
    'Leave out days without a market, whose rows repeat the last prices.'
FROM days
WHERE is_still(still, moves)
HAVING count(*) > 0
UNION ALL
SELECT
    'warning',
    'whole months in which a traded ticker keeps one close',
    count(*),
    min(ticker || ' in ' || strftime(month, '%Y-%m')),
    'Compare them with KRX''s.'
FROM quiet_months
HAVING count(*) > 0
UNION ALL
SELECT
    'error',
    'market caps that change their unit while the price does not (억, millions, thousands of won)',
    count(*),
    min(ticker || ' on ' || date),
    'Import those months again in won, or with the unit in the header: 시가총액(억원).'
FROM checked_moves
WHERE is_other_cap(cap_ratio, ratio, 300)
HAVING count(*) > 0
UNION ALL
SELECT
    'warning',
    'market caps that are 30 times the day before''s or a 30th, while the price is not',
    count(*),
    min(ticker || ' on ' || date),
    'Compare them with KRX''s.'
FROM checked_moves
WHERE is_other_cap(cap_ratio, ratio, 30) AND NOT is_other_cap(cap_ratio, ratio, 300)
HAVING count(*) > 0
UNION ALL
SELECT
    'warning',
    'market caps that stand still while the price moves are more than half',
    count(*) FILTER (cap_ratio = 1 AND ratio <> 1),
    min(ticker || ' on ' || date) FILTER (cap_ratio = 1 AND ratio <> 1),
    'A market cap is the day''s: import each day''s own, or shares with --listing CSV.'
FROM checked_moves
HAVING count(*) FILTER (cap_ratio = 1 AND ratio <> 1) > count(*) / 2
UNION ALL
-- KRX's company with the fewest shares has 200,000.
SELECT
    'error',
    'tickers whose market cap is worth fewer than 10,000 shares (is it in 억 or millions of won?)',
    count(DISTINCT ticker),
    min(ticker || ' on ' || date),
    'Import them again in won, or with the unit in the header: 시가총액(억원).'
FROM checked_moves
WHERE market_cap < 10000 * close
HAVING count(*) > 0
UNION ALL
SELECT
    'error',
    'days on which one stock is more than nine tenths of the market''s cap',
    count(*),
    min(largest || ' on ' || date),
    'Compare its market cap with KRX''s.'
FROM days
WHERE caps >= 10 AND largest_share > 0.9
HAVING count(*) > 0
UNION ALL
SELECT
    'error',
    'days whose market return is moved by more than half a point by returns beyond KRX''s daily limit',
    count(*),
    arg_max(date || ' (' || round(leap, 1) || ' points)', abs(leap)),
    'Splits in raw prices do that: import adjusted ones.'
FROM days
WHERE abs(leap) > 0.5
HAVING count(*) > 0
UNION ALL
SELECT
    'warning',
    'returns beyond KRX''s daily limit of 30 %',
    count(*),
    arg_max(
        ticker || ' on ' || date || ' (' || round(100 * (ratio - 1), 1) || ' %)', abs(ratio - 1)
    ),
    'Splits and mergers in raw prices have them, and a new listing''s first days.'
FROM checked_moves
WHERE is_beyond_limit(ratio - 1)
HAVING count(*) > 0
UNION ALL
SELECT
    'error',
    'closes that are fractions, half of them below 500, which no market in won has',
    count(*) FILTER (close <> round(close)),
    min(ticker || ' on ' || date || ' (' || round(close, 2) || ')'),
    'Are they in dollars or thousands of won? Import them in won.'
FROM checked_moves
HAVING median(close) < 500 AND count(*) FILTER (close <> round(close)) > count(*) / 2
ORDER BY severity, what;
