-- What each of $days knew of the macro numbers: Korea's of the day itself, the US ones of the last
-- session before it.
-- A US session ends when the Korean day of its date is over. One that is older than a week is no
-- session before. + 0: no negative zero in a prompt.
SELECT
    strftime(asked.date, '%Y-%m-%d') AS date,
    CASE WHEN asked.date - us.date <= 7 THEN round(us.vix, 2) END AS vix,
    round(home.usdkrw, 2) AS usdkrw,
    CASE WHEN asked.date - us.date <= 7 THEN round(us.us_return_pct, 2) + 0 END AS us_return_pct,
    round(home.foreign_net_buy_100m_krw, 2) + 0 AS foreign_net_buy_100m_krw,
    round(home.sentiment_pct, 2) + 0 AS sentiment_pct
FROM (SELECT unnest($days)::DATE AS date) AS asked
LEFT JOIN macro AS home USING (date)
ASOF LEFT JOIN (
    FROM macro WHERE vix IS NOT NULL OR us_return_pct IS NOT NULL
) AS us ON asked.date > us.date
ORDER BY asked.date;
