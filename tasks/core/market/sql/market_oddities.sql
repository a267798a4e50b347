-- What of market_sums from $since on is odd: (the first that there is, how many, what they are).
SELECT 'no day lies between ' || min(previous || ' and ' || date), count(*), 'gaps'
FROM market_sums
WHERE after_a_gap AND date >= $since::DATE
HAVING count(*) > 0
UNION ALL
SELECT
    min(date) || ' is left out, for few stocks or the last prices repeated', count(*), 'such days'
FROM market_sums
WHERE (thin OR still) AND date >= $since::DATE
HAVING count(*) > 0
UNION ALL
SELECT min(date) || ' is on a weekend', count(*), 'such days'
FROM market_sums
WHERE is_weekend(date) AND date >= $since::DATE
HAVING count(*) > 0;
