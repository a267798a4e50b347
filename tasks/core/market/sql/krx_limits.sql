-- What KRX allows: the days on which it can have traded, and the return of a day.
CREATE TEMP MACRO is_before_krx(day) AS day < DATE '1956-03-03';
-- A clock may be a day behind.
CREATE TEMP MACRO is_to_come(day) AS day > current_date + 1;
-- KRX's last Saturday was 1998-12-05.
CREATE TEMP MACRO is_weekend(day) AS isodow(day) > 5 AND day > DATE '1998-12-05' OR isodow(day) = 7;
-- KRX's daily limit is 30 %; ticks round it up a little. Splits in raw prices, mostly.
CREATE TEMP MACRO is_beyond_limit(change) AS abs(change) > 0.31;
