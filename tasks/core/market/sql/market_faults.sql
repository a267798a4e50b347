-- What in market_sums forbids to go on, and how many days from $since on are left out.
SELECT
    bool_or(repeated > 0) AS has_repeated,
    bool_or(odd_caps > 0) AS has_odd_caps,
    strftime(max(date) FILTER (is_to_come(date)), '%Y-%m-%d') AS to_come,
    count(*) FILTER (date >= $since::DATE AND (after_a_gap OR thin OR still)) AS left_out,
    coalesce(sum(cap_leaps) FILTER (date >= $since::DATE), 0)::BIGINT AS cap_leaps
FROM market_sums;
