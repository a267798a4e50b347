-- Fills shares_listed: the share counts of a listing, one per code.
INSERT INTO shares_listed
SELECT padded(ticker_of(ticker)), max(number_of(shares))
FROM source
WHERE number_of(shares) > 0
GROUP BY 1;
