-- Each ticker's first and last day in the folder, and its close on the last.
SELECT ticker, min(date)::VARCHAR, max(date)::VARCHAR, arg_max(close, date)
FROM market_rows($files, $until)
GROUP BY ticker
ORDER BY ticker;
