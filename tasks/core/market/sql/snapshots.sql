-- One row per day from $since on: return, breadth, momentum and volatility in %, rounded as prompts
-- print them, and how many returns lie beyond KRX's daily limit.
-- + 0: no negative zero in a prompt.
SELECT
    strftime(date, '%Y-%m-%d') AS date,
    round(move, 2) + 0 AS return_pct,
    round(breadth, 1) AS breadth_pct,
    round(momentum, 2) + 0 AS momentum_pct,
    round(volatility, 2) AS volatility_pct,
    leaps
FROM market_days
WHERE number >= 5 AND date >= $since::DATE
ORDER BY date;
