-- How a cell of the world's tables is read: macros for text, numbers and codes; cell_days.sql has
-- those for days.
-- A cell is what its file shows; what cannot be read for certain is NULL.
CREATE TEMP MACRO finite(value) AS CASE WHEN isfinite(value) THEN value END;
-- Commas count only between groups of three: "6,461" is a number, "9,13" is none.
CREATE TEMP MACRO grouped(text) AS CASE
    WHEN regexp_full_match(text, '[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?')
        THEN try_cast(replace(text, ',', '') AS DOUBLE)
END;
-- 450조 123억, 1.2억, 15.32M: an amount from its parts, each empty if it is not there.
CREATE TEMP MACRO part_of(text) AS CASE
    WHEN text = '' THEN 0 ELSE coalesce(try_cast(text AS DOUBLE), grouped(text))
END;
CREATE TEMP MACRO amount_of(jo, eok, man, one, suffix) AS
    part_of(jo) * 1e12 + part_of(eok) * 1e8 + part_of(man) * 1e4 + part_of(one)
        * CASE suffix WHEN 'K' THEN 1e3 WHEN 'M' THEN 1e6 WHEN 'B' THEN 1e9 ELSE 1 END;
CREATE TEMP MACRO spoken(bare) AS list_transform(
    [regexp_extract(
        bare,
        '^(?:([0-9][0-9.,]*)조)?(?:([0-9][0-9.,]*)억)?(?:([0-9][0-9.,]*)만)?'
        || '(?:([0-9][0-9.,]*)([KMB]?))?$',
        ['jo', 'eok', 'man', 'one', 'suffix']
    )],
    lambda parts: CASE
        WHEN parts.jo || parts.eok || parts.man || parts.one <> ''
            THEN amount_of(parts.jo, parts.eok, parts.man, parts.one, parts.suffix)
    END
)[1];
-- Without spaces, a sign of the currency and the unit behind it: ₩71,300 and 71,300원.
CREATE TEMP MACRO bare_of(cell) AS regexp_replace(
    regexp_replace(upper(cell), '\s', '', 'g'), '^(?:₩|￦|\\|KRW)|(?:원|주|KRW)$', '', 'g'
);
-- Plain numbers, and those with commas alone, are read without the dearer steps.
CREATE TEMP MACRO number_of(cell) AS coalesce(
    finite(try_cast(cell AS DOUBLE)),
    grouped(cell),
    CASE
        WHEN try_cast(cell AS DOUBLE) IS NULL AND strlen(cell) <= longest()
            THEN spoken(bare_of(cell))
    END
);
-- Whether a cell gave no number, and holds more than what tables write where there is no value.
CREATE TEMP MACRO is_unread(number, cell) AS CASE
    -- A pattern, as a list of so many words would be joined with every row.
    WHEN number IS NULL AND cell IS NOT NULL THEN NOT regexp_full_match(
        text_of(left(cell, longest())), '-|--|\.|nan|nat|none|null|#?n/?a|<na>|-?inf', 'i'
    )
END;

-- The forms in which a code is certain: A005930, '005930, ="005930", KRX:005930, 005930.KS,
-- 삼성전자(005930), and the ISIN of a common stock (of a preferred one it holds another code).
CREATE TEMP MACRO odd_code(text) AS coalesce(
    nullif(regexp_extract(text, '^''([0-9][0-9A-Z]{5})$', 1), ''),
    nullif(regexp_extract(text, '^="([0-9][0-9A-Z]{5})"$', 1), ''),
    nullif(regexp_extract(
        text, '^(?:KRX|XKRX|KOSPI|KOSDAQ|KONEX|KS|KQ):([0-9][0-9A-Z]{5})$', 1), ''),
    nullif(regexp_extract(
        text, '^A?([0-9][0-9A-Z]{5})[.:-](?:KS|KQ|KR|KP|KN|KRX|XKRX|KOSPI|KOSDAQ)$', 1), ''),
    nullif(regexp_extract(text, '^[^0-9(]*\(A?([0-9][0-9A-Z]{5})\)$', 1), ''),
    nullif(regexp_extract(text, '^KR7([0-9][0-9A-Z]{4}0)00[0-9]$', 1), ''),
    -- A code that became a number: 5930 or 5930.0. KRX's smallest is 000020.
    CASE
        WHEN regexp_full_match(text, '[0-9]{2,6}(\.0+)?') AND try_cast(text AS DOUBLE) >= 20
            THEN lpad(split_part(text, '.', 1), 6, '0')
    END
);
CREATE TEMP MACRO code_of_text(text) AS coalesce(
    -- 005930 KP, 005930 KS Equity
    nullif(regexp_extract(text, '^A?([0-9][0-9A-Z]{5})(?: .*)?$', 1), ''), odd_code(text)
);
CREATE TEMP MACRO code_of(cell) AS CASE
    WHEN regexp_full_match(cell, '[0-9][0-9A-Z]{5}') THEN cell
    WHEN strlen(cell) <= longest() THEN code_of_text(upper(text_of(cell)))
END;
CREATE TEMP MACRO is_float(cell) AS CASE
    WHEN contains(cell, '.') THEN regexp_full_match(text_of(cell), '[0-9]+\.0+') ELSE false
END;
