"""What is said of an exposure and of a question that leaves numbers out, in both languages.

The module is data alone, as phrases is. {known} lists the numbers that were given, {labels} and
{values} those that were not and what they were taken for.
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
        "순노출은 상승 종목 비중에 맞춰 {low}~{high}% 밴드 안의 {net}%로 둔다.",
        "이 국면의 순노출 밴드 {low}~{high}%에서 상승 종목 비중에 맞는 값은 {net}%다.",
        "오른 종목의 폭을 반영하면 {low}~{high}% 가운데 순노출 {net}%가 나온다.",
        "밴드 {low}~{high}% 안에서의 위치는 상승 종목 비중이 정하며, 순노출 {net}%다.",
    ),
    "en": (
        "Net exposure goes to {net}%, where the breadth puts it in the {low} to {high}% band.",
        "In the band of {low} to {high}% the breadth points to a net {net}%.",
        "Scaled by breadth, the {low} to {high}% band gives {net}% net.",
        "Breadth decides the place inside {low} to {high}%: {net}% net.",
    ),
}
"""The same, where the breadth decides the place in the band."""

WILD = {
    "ko": (
        "변동성이 지나치게 높아 {low}~{high}% 밴드에서 보수적인 쪽인 순노출 {net}%를 택한다.",
        "흔들림이 큰 장이라 순노출은 {low}~{high}% 가운데 조심스러운 {net}%로 시작한다.",
        "변동성이 가라앉기 전까지 순노출은 {low}~{high}% 중 {net}%로 낮게 둔다.",
        "이런 변동성에서는 밴드 {low}~{high}%를 다 쓰지 않고 순노출 {net}%에 머문다.",
    ),
    "en": (
        "Volatility is extreme, so net stays at the careful end of {low} to {high}%: {net}%.",
        "In so wild a market I take the careful end of {low} to {high}%, a net {net}%.",
        "Until volatility settles, {net}% net is all I would use of {low} to {high}%.",
        "With swings like these the {low} to {high}% band is used with care: {net}% net.",
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
        "Half the dashboard is dark; {known} still reads {regime}.",
        "Provisional call: {regime}, because {known} is what was reported.",
    ),
}
"""Why the regime is what it is, where the question gives only some of the market's numbers."""

USUAL = {
    "ko": (
        "주어지지 않은 {labels_eun} 이런 날의 통상 수준({values})으로 두었다.",
        "{labels_eun} 알 수 없어 통상 수준인 {values_ro} 보았다.",
        "빠진 {labels_eun} 보통 때 값 {values_ro} 채웠고, 확인되면 다시 판정한다.",
        "확인이 필요한 것은 {labels}이며 일단 {values_ro} 가정했다.",
        "{labels_eun} 아직 없다. 비슷한 날의 값 {values_ro} 대신했다.",
        "{values}라는 가정은 {labels}의 실제 값이 나오면 바꾼다.",
        "주문 전에 {labels_eul} 확인해야 한다. 여기서는 {values_ro} 두었다.",
        "비어 있는 칸은 {labels}이고, 통상치 {values}를 넣었다.",
    ),
    "en": (
        "Not given and taken as usual on such a day: {labels} at {values}.",
        "Missing are {labels}, which I take at the usual {values}.",
        "For want of {labels} I assume the usual {values}; check them before acting.",
        "I have no {labels} and put in {values}, as is usual on such days.",
        "Still to be confirmed: {labels}, assumed here at {values}.",
        "The gap, {labels}, is filled with what such days bring: {values}.",
        "Once {labels} is in, replace my assumption of {values} and ask again.",
        "Standing in for {labels}: {values}, the norm for such a day.",
    ),
}
"""Which of the market's numbers were missing, and as what they were taken."""

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
