-- How a cell of the world's tables is read as a day: macros for text and days.
-- A cell is what its file shows; what cannot be read for certain is NULL.
-- Bytes of a cell above which it is neither a day, a number nor a code: a small file can hold
-- gigabytes of text.
CREATE TEMP MACRO longest() AS 100;
CREATE TEMP MACRO text_of(cell) AS
    nullif(trim(cell::VARCHAR, ' ' || chr(9) || chr(160) || chr(12288)), '');
CREATE TEMP MACRO serial_day(text) AS CASE
    WHEN try_cast(text AS DOUBLE) BETWEEN 20000 AND 80000
        THEN DATE '1899-12-30' + try_cast(text AS DOUBLE)::INTEGER
END;
-- The digits of 20240102, 20240102.0 and 2.0240102e+07, which are one number.
CREATE TEMP MACRO digits_of(text) AS CASE
    WHEN regexp_full_match(text, '[0-9]+(\.0*)?')
        THEN split_part(text, '.', 1)
    WHEN regexp_full_match(text, '[0-9](\.[0-9]+)?[eE]\+?[0-9]{1,2}')
        THEN try_cast(try_cast(text AS DOUBLE) AS HUGEINT)::VARCHAR
END;
-- Seconds since 1970, or thousandths and so on of them: their number of digits tells.
CREATE TEMP MACRO instant_day(digits) AS
    to_timestamp(try_cast(digits AS DOUBLE) / power(1000, (length(digits) - 8) // 3))::DATE;
CREATE TEMP MACRO numbered_day(digits) AS CASE
    -- 20240102, and with hours, minutes and seconds behind it.
    WHEN regexp_full_match(digits, '[0-9]{8}|(19|20)[0-9]{10}|[0-9]{14}')
        THEN try_strptime(left(digits, 8), '%Y%m%d')::DATE
    WHEN length(digits) IN (9, 10, 12, 13, 15, 16, 18, 19)
        THEN instant_day(digits)
END;
CREATE TEMP MACRO joined_day(parts) AS
    try_cast(concat_ws('-', parts.year, parts.month, parts.day) AS DATE);
CREATE TEMP MACRO odd_day(text) AS CASE
    WHEN regexp_full_match(text, '[0-9]{5}(\.[0-9]+)?')
        THEN serial_day(split_part(text, '.', 1))
    WHEN digits_of(text) IS NOT NULL
        THEN numbered_day(digits_of(text))
    -- An instant with its offset from UTC is a day in Seoul.
    WHEN regexp_full_match(text, '[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+ ?(Z|UTC|[+-][0-9:]+)')
        THEN try_cast(replace(text, ' UTC', 'Z') AS TIMESTAMPTZ)::DATE
    -- 2024-1-2, 2024. 01. 02., 2024/01/02, 2024년 1월 2일, with a weekday or a clock time behind.
    ELSE joined_day(regexp_extract(
        text,
        '^([0-9]{4})\s*[-./년]\s*([0-9]{1,2})\s*[-./월]\s*([0-9]{1,2})\s*[.일]?'
        || '(?:\s*\(?[월화수목금토일](?:요일)?\)?)?'
        || '(?:[T ]\s*(?:오전|오후|AM|PM)?\s*[0-9]{1,2}:[0-9:.]+\s*(?:AM|PM)?)?$',
        ['year', 'month', 'day']
    ))
END;
CREATE TEMP MACRO day_of(cell) AS CASE
    WHEN length(cell) = 10 OR cell LIKE '____-__-__ __:__:__'
        THEN coalesce(try_cast(left(cell, 10) AS DATE), odd_day(text_of(cell)))
    WHEN strlen(cell) <= longest() THEN odd_day(text_of(cell))
END;
-- The day of a partition's row: what is none is refused, as it would be left out unseen.
CREATE TEMP MACRO row_day(value) AS coalesce(
    day_of(value::VARCHAR),
    CASE WHEN value IS NOT NULL THEN error('''' || value || ''' is no day') END
);
