-- Creates macro: the macro file's rows, which the relation source holds. The empty relation gives
-- every measure a name.
CREATE OR REPLACE TEMP TABLE macro AS
SELECT
    date::DATE AS date,
    vix::DOUBLE AS vix,
    usdkrw::DOUBLE AS usdkrw,
    us_return_pct::DOUBLE AS us_return_pct,
    foreign_net_buy_100m_krw::DOUBLE AS foreign_net_buy_100m_krw,
    sentiment_pct::DOUBLE AS sentiment_pct
FROM (
    FROM (
        SELECT
            NULL::DATE AS date,
            NULL::DOUBLE AS vix,
            NULL::DOUBLE AS usdkrw,
            NULL::DOUBLE AS us_return_pct,
            NULL::DOUBLE AS foreign_net_buy_100m_krw,
            NULL::DOUBLE AS sentiment_pct
        WHERE false
    )
    UNION ALL BY NAME
    FROM source
);
