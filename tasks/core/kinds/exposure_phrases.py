"""What is said of an exposure and of a question that leaves numbers out, in both languages.

The module is data alone, as phrases is. {known} lists the numbers that were given, {assumed} what
those that were not were taken for.
"""

EXPOSURES = {
    "ko": (
        "권고 순노출은 {low}~{high}% 가운데 {net}%다.",
        "그래서 순노출 {net}%를 권한다. 밴드는 {low}~{high}%다.",
        "순노출은 {low}~{high}% 범위에서 {net}%로 잡는다.",
        "국면이 허용하는 {low}~{high}% 안에서 순노출을 {net}%로 맞춘다.",
        "이 국면의 순노출 밴드는 {low}~{high}%이고, 제안은 {net}%다.",
        "포지션 크기는 순노출 {net}%, 허용 범위는 {low}~{high}%다.",
    ),
    "en": (
        "Hence a net exposure of {net}%, within {low} to {high}%.",
        "The recommended net is {net}%, from a band of {low} to {high}%.",
        "I would run {net}% net; the regime allows {low} to {high}%.",
        "Net exposure: {net}%, inside the regime's {low} to {high}%.",
        "The regime's net band is {low} to {high}%, and I propose {net}%.",
        "Size the book at {net}% net, which the band of {low} to {high}% permits.",
    ),
}
"""Which net exposure the answer recommends, and the band that it lies in."""

BY_BREADTH = {
    "ko": (
        "순노출 {net}%는 {low}~{high}% 밴드에서 상승 종목 비중에 맞춘 자리다.",
        "밴드 {low}~{high}%의 {net}%가 순노출이고, 그 자리는 상승 종목 비중이 정한다.",
        "순노출은 {low}~{high}% 가운데 {net}%로, 오른 종목이 얼마나 많은지를 반영했다.",
        "순노출 {net}%(밴드 {low}~{high}%)는 상승 종목 비중에서 나온 값이다.",
    ),
    "en": (
        "Net exposure goes to {net}%, from {low} to {high}%, where the breadth puts it.",
        "I propose {net}% net out of {low} to {high}%, scaled by breadth.",
        "Inside {low} to {high}% the place is {net}% net, which the breadth decides.",
        "A net {net}%, with {low} to {high}% allowed, is in keeping with the breadth.",
    ),
}
"""The same, where the breadth decides the place in the band. The numbers stand before its label, or
they would seem to be the breadth's.
"""

WILD = {
    "ko": (
        "순노출은 {low}~{high}% 가운데 조심스러운 {net}%다. 변동성이 지나치게 높다.",
        "흔들림이 큰 장이라 순노출은 {low}~{high}% 가운데 조심스러운 {net}%로 시작한다.",
        "순노출 {net}%, 밴드 {low}~{high}%의 낮은 쪽에 머문다. 변동성이 가라앉을 때까지다.",
        "밴드 {low}~{high}%를 다 쓰지 않고 순노출 {net}%에 머문다. 변동성이 너무 높다.",
    ),
    "en": (
        "Net stays at the careful end of {low} to {high}%, {net}%, because volatility is extreme.",
        "In so wild a market I take the careful end of {low} to {high}%, a net {net}%.",
        "{net}% net is all I would use of {low} to {high}% until volatility settles.",
        "The band of {low} to {high}% is used with care, {net}% net, with swings like these.",
    ),
}
"""The same, while the volatility keeps the book at the careful end of its bands."""

PARTIAL = {
    "ko": (
        "확인된 {known} 기준으로 {regime} 국면이다.",
        "지금 아는 것은 {known}뿐이고, 이대로면 {regime_ro} 본다.",
        "{known}만 놓고 규칙을 적용하면 {regime}에 해당한다.",
        "수치가 다 모이지는 않았으나 {known}에서는 {regime} 쪽이다.",
        "들어온 숫자는 {known}까지다. 잠정 판정은 {regime_da}.",
        "{regime_ro} 잠정 분류한다. 근거는 {known}다.",
        "우선 {known}에 맞춰 {regime} 기준으로 대응한다.",
        "다른 지표 없이 {known}만으로는 {regime} 판정이 가장 가깝다.",
        "{known}에 통상적인 나머지 값을 더하면 먼저 걸리는 규칙은 {regime_da}.",
        "단편 정보({known})로 본 국면은 {regime_da}.",
        "판단 재료가 {known}에 그쳐 {regime_ro} 보되 확신은 낮게 둔다.",
        "{known}, 여기까지의 정보로는 {regime} 대응이 맞다.",
    ),
    "en": (
        "On what is known, {known}, the rule gives {regime}.",
        "With only {known} at hand, the call is {regime}.",
        "Judging by {known} alone, this reads {regime}.",
        "So far there is {known}, and that makes it {regime}.",
        "The figures are incomplete, but with {known} it is {regime}.",
        "{regime} for now, on the strength of {known}.",
        "A first reading of {known} says {regime}.",
        "My working call is {regime}: all I can see is {known}.",
        "Take it as {regime} until more comes in; what we have is {known}.",
        "From {known} and the usual rest, the first rule that holds gives {regime}.",
        "Part of the dashboard is dark; from {known} I still read {regime}.",
        "Provisional call: {regime}, because {known} is what was reported.",
    ),
}
"""Why the regime is what it is, where the question gives only some of the market's numbers."""

USUAL = {
    "ko": (
        "주어지지 않은 값은 이런 날의 통상 수준({assumed})으로 두었다.",
        "나머지는 알 수 없어 비슷한 날의 값인 {assumed_ro} 보았다.",
        "빠진 칸은 보통 때처럼 {assumed_ro} 채웠고, 확인되면 다시 판정한다.",
        "확인이 필요한 가정은 {assumed_da}.",
        "아직 나오지 않은 수치는 {assumed_ro} 대신했다.",
        "{assumed_iraneun} 가정은 실제 값이 나오면 바꾼다.",
        "주문 전에 확인할 것이 있다. 여기서는 {assumed_ro} 두었다.",
        "비어 있는 칸에는 통상치({assumed})를 넣었다.",
    ),
    "en": (
        "Not given, and taken as usual on such a day: {assumed}.",
        "What is missing I take at its usual level, {assumed}.",
        "For want of figures I assume {assumed}; check them before acting.",
        "The rest is what such days bring: {assumed}.",
        "Still to be confirmed are my assumptions, {assumed}.",
        "The gaps are filled with the norm for such a day, {assumed}.",
        "Once the figures are in, replace {assumed} and ask again.",
        "Standing in for what was left out: {assumed}.",
    ),
}
"""What the missing numbers were taken for, each beside its label."""

GIVEN = {
    "ko": (
        "국면은 질문에서 {regime_ro} 주어졌고, 지표가 없어 확인하지는 못했다.",
        "{regime_iraneun} 전제를 그대로 받는다. 수익률과 상승 종목 비중이 없어 검증은 남아 있다.",
        "시장 지표 없이 {regime}만 주어졌으므로 그 국면의 밴드로 답한다.",
        "{regime} 판정의 근거 수치가 없다. 밴드만 적용하고 확신은 낮게 둔다.",
        "주어진 국면 {regime}에 맞춘 노출이며, 지표가 나오면 국면부터 다시 확인한다.",
        "네 가지 지표가 모두 비어 있어 {regime} 국면을 믿고 비중만 정한다.",
    ),
    "en": (
        "The regime is given as {regime}; without the market's figures it is not verified.",
        "I take {regime} as stated, since there is no return or breadth to check it by.",
        "Only the regime is known, {regime}, so the answer is that regime's bands.",
        "No figures back {regime} here: I apply its bands with low confidence.",
        "These exposures fit {regime} as stated; confirm the regime once the figures are in.",
        "All four indicators are missing, so {regime} is taken on trust.",
    ),
}
"""What is said of a regime that the question gives instead of numbers."""
