-- Creates market_days: the days of market_sums that can be judged, with their windows.
-- snapshots.sql rounds them. The return over a gap is no day's, a few stocks are no market, and days
-- that repeat the last prices had none.
CREATE OR REPLACE TEMP TABLE market_days AS
SELECT
    date,
    move,
    breadth,
    leaps,
    sum(move) OVER last_ten AS momentum,
    stddev_samp(move) OVER last_ten * sqrt(252) AS volatility,
    row_number() OVER (ORDER BY date) AS number
FROM market_sums
WHERE move IS NOT NULL AND after_a_gap IS NOT true AND thin IS NOT true AND still IS NOT true
WINDOW last_ten AS (ORDER BY date ROWS BETWEEN 9 PRECEDING AND CURRENT ROW);
