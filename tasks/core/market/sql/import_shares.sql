-- Fills shares_listed: the share counts of a listing, one per code. The relation source is the
-- listing, $unit what its numbers count in.
INSERT INTO shares_listed
SELECT code_of(ticker::VARCHAR) AS code, max(number_of(shares::VARCHAR) * $unit.shares)
FROM source
WHERE number_of(shares::VARCHAR) > 0 AND code_of(ticker::VARCHAR) IS NOT NULL
GROUP BY code;
