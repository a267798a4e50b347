-- What in market_sums forbids to go on or is to be looked at, and how many days from $since on are
-- left out.
SELECT
    bool_or(repeated > 0) AS has_repeated,
    coalesce(
        is_impossible_cap(max(largest_cap))
        OR max(largest_cap_ratio) > 300
        OR min(smallest_cap_ratio) < 1 / 300,
        false
    ) AS may_have_odd_caps,
    strftime(max(date) FILTER (is_to_come(date)), '%Y-%m-%d') AS to_come,
    count(*) FILTER (date >= $since::DATE AND (after_a_gap OR thin OR still)) AS left_out
FROM market_sums;
