-- One row per universe stock and day: what a prompt may quote of it. Each window ends with the day
-- itself.
-- $tickers is the universe, $days the snapshot days; $files and $until are as in market_days.sql.
-- Reads that query's table market_days, and macro_table.sql's table macro.
WITH markets AS (
    SELECT
        days.date,
        days.number,
        days.move,
        -- The session before: a US day ends after the Korean day of its date. One that is older
        -- than a week is no session before.
        CASE WHEN days.date - us.date <= 7 THEN us.us_return_pct END AS us_move
    FROM market_days AS days
    ASOF LEFT JOIN (
        SELECT date, us_return_pct FROM macro WHERE us_return_pct IS NOT NULL
    ) AS us ON days.date > us.date
),
moves AS (
    SELECT *, close / lag(close) OVER (PARTITION BY ticker ORDER BY date) - 1 AS change
    FROM market_rows($files, $until)
    WHERE ticker IN (SELECT unnest($tickers))
),
measured AS (
    SELECT
        *,
        CASE WHEN count(close) OVER last_20 >= 15 THEN avg(close) OVER last_20 END AS mean_20,
        CASE WHEN count(close) OVER last_60 >= 45 THEN avg(close) OVER last_60 END AS mean_60,
        CASE
            WHEN count(change) OVER last_20 >= 15 THEN stddev_samp(ln(1 + change)) OVER last_20
        END AS deviation,
        CASE
            WHEN regr_count(change, move) OVER last_year >= 120
                THEN regr_slope(100 * change, move) OVER last_year
        END AS beta,
        CASE
            WHEN regr_count(change, us_move) OVER last_year >= 120
                THEN corr(change, us_move) OVER last_year
        END AS us_correlation
    FROM moves LEFT JOIN markets USING (date)
    WINDOW
        last_20 AS (PARTITION BY ticker ORDER BY date ROWS BETWEEN 19 PRECEDING AND CURRENT ROW),
        last_60 AS (PARTITION BY ticker ORDER BY date ROWS BETWEEN 59 PRECEDING AND CURRENT ROW),
        last_year AS (
            PARTITION BY ticker ORDER BY number RANGE BETWEEN 249 PRECEDING AND CURRENT ROW
        )
)
SELECT
    strftime(date, '%Y-%m-%d') AS date,
    ticker,
    close,
    round(100 * change, 2) + 0 AS return_pct,
    -- KRX publishes two decimals; float32 files carry 0.46000000834.
    round(per, 2) AS per,
    round(pbr, 2) AS pbr,
    given_cap AS market_cap,
    round(coalesce(sma_20, mean_20), 2) AS sma_20,
    round(coalesce(sma_60, mean_60), 2) AS sma_60,
    round(100 * sqrt(252) * deviation, 2) AS volatility_pct,
    CASE WHEN isfinite(beta) THEN round(beta, 2) + 0 END AS beta,
    CASE WHEN isfinite(us_correlation) THEN round(us_correlation, 2) + 0 END AS us_correlation
FROM measured SEMI JOIN (SELECT unnest($days)::DATE AS date) USING (date)
ORDER BY date, ticker;
