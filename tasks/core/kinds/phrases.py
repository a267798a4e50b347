"""How a regime is argued, in both languages: several ways to say each ground of the rule, and what would change it.

{r} {b} {m} {v} are the market's return, breadth, momentum and volatility as printed, with their %. Korean reads % as
퍼센트, so what follows it takes the particle of a vowel.
"""

GROUNDS = {
    "ko": {
        "BEAR": (
            "시장 수익률 {r}, 상승 종목 비중 {b}, 10일 모멘텀 {m}가 모두 약세장 기준을 밑돈다.",
            "하루 {r} 하락에 상승 종목 비중이 {b}에 그쳤고 10일 모멘텀도 {m}라 약세장이다.",
            "10일 모멘텀이 {m}까지 꺾인 가운데 시장 수익률 {r}, 상승 종목 비중 {b}로 약세장 조건이 다 찼다.",
            "상승 종목 비중이 {b}로 매도가 전 종목에 퍼졌고, 시장 수익률 {r}에 10일 모멘텀 {m}라 약세장이다.",
            "약세장 조건 셋이 모두 맞는다. 시장 수익률 {r}, 상승 종목 비중 {b}, 10일 모멘텀 {m}다.",
            "낙폭 {r}, 폭 {b}, 모멘텀 {m} 어느 쪽을 봐도 약세장이다.",
            "열 종목 가운데 오른 것이 드물다. 상승 종목 비중 {b}에 시장 수익률 {r}, 10일 모멘텀 {m}로 약세장이다.",
            "하락이 하루로 끝나지 않았다. 10일 모멘텀 {m} 위에 시장 수익률 {r}, 상승 종목 비중 {b}가 겹쳐 약세장이다.",
        ),
        "volatile": (
            "시장 수익률이 {r}로 밀리고 연율 변동성이 {v}로 25%를 넘어 단기 스트레스로 본다.",
            "연율 변동성 {v}가 25%를 넘는 장에서 시장 수익률이 {r}로 밀려 단기 스트레스다.",
            "변동성이 문제다. 연율 변동성 {v}에 시장 수익률 {r}면 단기 스트레스에 해당한다.",
            "하루 {r} 하락만으로는 애매하지만 연율 변동성이 {v}로 25%를 웃돌아 단기 스트레스로 판정한다.",
            "흔들림이 커진 장이다. 연율 변동성 {v}, 시장 수익률 {r}로 단기 스트레스 조건을 채운다.",
            "시장 수익률 {r}가 -1.5%보다 깊고 연율 변동성 {v}도 기준을 넘어 단기 스트레스다.",
        ),
        "STRONG_BULL": (
            "시장 수익률 {r}, 상승 종목 비중 {b}, 10일 모멘텀 {m}가 모두 강세장 기준을 웃돈다.",
            "하루 {r} 상승에 상승 종목 비중이 {b}로 넓고 10일 모멘텀도 {m}라 강세장이다.",
            "상승이 넓고 이어진다. 상승 종목 비중 {b}, 10일 모멘텀 {m}, 시장 수익률 {r}로 강세장 조건이 다 찼다.",
            "10일 모멘텀 {m}가 받치는 가운데 시장 수익률 {r}, 상승 종목 비중 {b}로 강세장 기준을 모두 넘었다.",
            "세 종목 중 두 종목 꼴로 오르는 {b}의 폭에 시장 수익률 {r}, 10일 모멘텀 {m}가 더해져 강세장이다.",
            "강세장 조건 셋이 모두 맞는다. 시장 수익률 {r}, 상승 종목 비중 {b}, 10일 모멘텀 {m}다.",
            "폭 {b}와 모멘텀 {m}가 함께 좋은 날의 {r} 상승이라 강세장으로 본다.",
            "매수가 고르게 퍼졌다. 시장 수익률 {r}에 상승 종목 비중 {b}, 10일 모멘텀 {m}면 강세장이다.",
        ),
        "WEAKENING": (
            "시장 수익률이 {r}로 밀리고 상승 종목 비중이 {b}로 35%와 50% 사이라 시장이 약해지고 있다.",
            "지수는 {r} 내렸지만 상승 종목 비중이 {b}라 투매가 아니라 약화로 본다.",
            "상승 종목 비중 {b}가 절반을 넘지 못하고 시장 수익률도 {r}라 약화 국면이다.",
            "오르는 종목이 {b}로 줄어드는 가운데 시장 수익률 {r}면 약화 국면에 해당한다.",
            "폭이 먼저 식었다. 상승 종목 비중 {b}에 시장 수익률 {r}로 약화 조건을 채운다.",
            "시장 수익률 {r}는 손실이고 상승 종목 비중 {b}는 35%와 50% 사이에 있어 약화로 판정한다.",
            "하락 {r}에도 상승 종목 비중이 {b}는 되어 급락이 아닌 약화로 읽는다.",
        ),
        "MILD_BULL": (
            "시장 수익률이 {r}로 오르고 상승 종목 비중이 {b}로 절반을 넘어 완만한 상승세다.",
            "상승 종목 비중 {b}가 절반을 넘고 시장 수익률도 {r}라 완만한 상승 국면이다.",
            "오른 종목이 더 많은 {b}이고 시장 수익률은 {r}라, 거세지는 않아도 완만한 상승이다.",
            "완만하게 오르는 장이다. 시장 수익률 {r}, 상승 종목 비중 {b}면 충분하다.",
            "시장 수익률 {r}에 상승 종목 비중 {b}로 완만한 상승 조건은 채우지만 그 위 국면의 조건은 다 채우지 못한다.",
            "지수 {r} 상승이 {b}의 폭으로 뒷받침되어 완만한 상승으로 본다.",
            "절반이 넘는 {b}의 종목이 올랐고 시장 수익률이 {r}라 완만한 상승 국면으로 분류한다.",
        ),
        "SHORT_TERM_STRESS": (
            "시장 수익률이 {r}로 -1%보다 깊게 밀려 단기 스트레스로 본다.",
            "하루 낙폭 {r}가 -1%를 넘어서 단기 스트레스에 해당한다.",
            "낙폭이 기준을 넘었다. 시장 수익률 {r}는 -1%보다 깊어 단기 스트레스다.",
            "최악의 국면까지는 아니지만 시장 수익률 {r}가 -1%보다 깊어 단기 스트레스로 판정한다.",
            "상승 종목 비중 {b}에 시장 수익률 {r}면 -1%보다 깊은 하락이라 단기 스트레스다.",
            "지수가 하루에 {r} 빠졌다. -1%보다 깊은 하락은 단기 스트레스로 본다.",
        ),
        "shallow": (
            "시장 수익률이 {r}로 밀렸지만 낙폭이 1%를 넘지 않아 약화 국면으로 본다.",
            "하락은 {r}에 그쳐 -1%보다 얕으므로 약화 국면이다.",
            "지수 {r} 하락은 1%를 넘지 않는 손실이라 약화로 분류한다.",
            "낙폭이 얕다. 시장 수익률 {r}는 -1%에 이르지 않아 약화 국면이다.",
            "상승 종목 비중은 {b}지만 시장 수익률이 {r}로 손실이 1%를 넘지 않아 약화로 판정한다.",
        ),
        "narrow": (
            "시장 수익률이 {r}로 올랐지만 상승 종목 비중이 {b}에 그쳐 완만한 상승으로만 본다.",
            "지수는 {r} 올랐으나 오른 종목이 {b}뿐이라 완만한 상승 국면이다.",
            "상승 종목 비중 {b}가 좁아 {r} 상승을 완만한 상승으로만 읽는다.",
            "폭이 {b}로 좁은 상승이다. 시장 수익률 {r}라도 완만한 상승에 그친다.",
            "소수 종목이 끌어올린 {r} 상승이라, 상승 종목 비중 {b}로는 완만한 상승으로 본다.",
        ),
        "flat": (
            "시장 수익률이 {r}로 밀리지 않아 완만한 상승 국면으로 본다.",
            "지수가 {r}로 제자리라 손실이 아니고, 규칙상 완만한 상승이다.",
            "손실이 없는 날이다. 시장 수익률 {r}는 완만한 상승으로 둔다.",
        ),
        "down": (
            "시장 수익률이 {r}로 밀렸지만 상승 종목 비중을 모르니 약화 국면으로만 본다.",
            "하락 {r}만 알 뿐 상승 종목 비중을 모르므로 약화 국면으로 판정한다.",
            "아는 것은 시장 수익률 {r}의 손실이다. 폭을 모르는 한 약화로 둔다.",
            "지수가 {r} 내린 것은 분명하나 상승 종목 비중이 빠져 약화까지만 말할 수 있다.",
        ),
        "up": (
            "시장 수익률이 {r}로 올랐지만 상승 종목 비중을 모르니 완만한 상승으로만 본다.",
            "상승 {r}만 알 뿐 상승 종목 비중을 모르므로 완만한 상승으로 판정한다.",
            "아는 것은 시장 수익률 {r}의 이익이다. 폭을 모르는 한 완만한 상승으로 둔다.",
            "지수가 {r} 오른 것은 분명하나 상승 종목 비중이 빠져 완만한 상승까지만 말할 수 있다.",
        ),
    },
    "en": {
        "BEAR": (
            "Market return {r}, breadth {b} and 10-day momentum {m} are all below the bear-market limits.",
            "A fall of {r} with breadth at {b} and 10-day momentum at {m} is a bear market.",
            "10-day momentum has sunk to {m}, and with a return of {r} and breadth of {b} every bear condition holds.",
            "Selling is everywhere: breadth {b}, return {r} and momentum {m} make a bear market.",
            "All three bear tests are met, namely return {r}, breadth {b} and momentum {m}.",
            "Few names rise, with breadth of {b}; the return of {r} and momentum of {m} complete a bear market.",
            "This is no one-day slip but a bear market: momentum {m}, return {r}, breadth only {b}.",
            "Whichever gauge one takes, return {r}, breadth {b} or momentum {m}, it reads bear market.",
        ),
        "volatile": (
            "A market return of {r} with annualized volatility of {v}, above 25%, is short-term stress.",
            "Volatility decides: at {v} it is above 25%, and the return of {r} makes it short-term stress.",
            "With annualized volatility of {v}, a fall of {r} counts as short-term stress.",
            "Swings have grown to {v} a year, so a market return of {r} is short-term stress.",
            "The return of {r} is deeper than -1.5% while volatility stands at {v}: short-term stress.",
            "On its own {r} would be a bad day; with volatility of {v}, above 25%, it is short-term stress.",
        ),
        "STRONG_BULL": (
            "Market return {r}, breadth {b} and 10-day momentum {m} all clear the strong-bull limits.",
            "A gain of {r} with breadth of {b} and 10-day momentum of {m} is a strong bull market.",
            "Broad and lasting, with breadth {b}, momentum {m} and {r} on the day: a strong bull.",
            "Momentum of {m} carries on, and a return of {r} with breadth of {b} clears each strong-bull test.",
            "All three strong-bull tests are met, namely return {r}, breadth {b} and momentum {m}.",
            "Buying has spread to {b} of the names; with a return of {r} and momentum of {m} this is a strong bull.",
            "Breadth of {b} backs the gain of {r}, and momentum of {m} confirms a strong bull.",
            "Gains of {r} on the day and {m} over ten days, shared by {b} of the names, make a strong bull market.",
        ),
        "WEAKENING": (
            "A market return of {r} with breadth of {b}, between 35% and 50%, is a weakening market.",
            "The index lost {r} while {b} of the names still rose: weakening rather than a rout.",
            "Breadth of {b} falls short of half and the return is {r}, which is a weakening market.",
            "With only {b} of the names rising, a return of {r} reads as weakening.",
            "Participation cools first: breadth is {b} and the market return {r}, hence weakening.",
            "The loss of {r} comes with breadth inside 35% to 50%, at {b}, so the market is weakening.",
            "Down {r}, yet breadth holds at {b}; this is weakening and no slump.",
        ),
        "MILD_BULL": (
            "A market return of {r} with breadth of {b}, more than half, is a mild uptrend.",
            "More than half of the names rose, {b}, and the return is {r}: a mild uptrend.",
            "Breadth of {b} supports the gain of {r}, which makes it a mild uptrend.",
            "The market edges up: return {r}, breadth {b}, enough for a mild uptrend.",
            "The gain of {r} on breadth of {b} meets the mild-bull test, but not every test of the regime above.",
            "Risers lead with {b}, and at {r} the market is in a mild uptrend.",
            "With the index at {r} and {b} of the names rising, the uptrend is mild.",
        ),
        "SHORT_TERM_STRESS": (
            "A market return of {r} is deeper than -1%, so this is short-term stress.",
            "The day's fall of {r} goes beyond -1%: short-term stress.",
            "Losing {r} in a day is more than the -1% that stress begins at.",
            "The worst regime asks for more, but a return of {r}, deeper than -1%, is short-term stress.",
            "Breadth of {b} and a return of {r}, deeper than -1%, spell short-term stress.",
            "The drop counts here: {r} is below -1%, hence short-term stress.",
        ),
        "shallow": (
            "A market return of {r} is a loss of no more than 1%: the market is weakening.",
            "The loss stays at {r}, not beyond -1%, which is a weakening market.",
            "Down by no more than 1%, at {r}, the market counts as weakening.",
            "A shallow fall of {r} does not go beyond -1%, so the call is weakening.",
            "Breadth is {b}, but with a loss of only {r}, no more than 1%, the market is weakening.",
        ),
        "narrow": (
            "The market return is {r}, but breadth of only {b} makes it no more than a mild uptrend.",
            "Few names share the gain of {r}: breadth is only {b}, hence a mild uptrend.",
            "A narrow advance, {r} on breadth of only {b}, is no more than a mild uptrend.",
            "Breadth of only {b} holds the gain of {r} down to a mild uptrend.",
            "The index rose {r} on a handful of names, and breadth of only {b} allows a mild uptrend.",
        ),
        "flat": (
            "A market return of {r} is no loss, which makes it a mild uptrend.",
            "The index stood still at {r}; that is no loss, and by the rule a mild uptrend.",
            "No loss at {r}: the rule calls it a mild uptrend.",
        ),
        "down": (
            "A market return of {r} is a loss, but without the breadth it counts as no more than weakening.",
            "All that is known is a loss of {r}; without the breadth the call is weakening.",
            "The index fell {r}, and as nobody gave the breadth it is no more than weakening.",
            "Down {r} with the breadth unknown: weakening is as far as the call can go.",
        ),
        "up": (
            "A market return of {r} is a gain, but without the breadth it counts as no more than a mild uptrend.",
            "All that is known is a gain of {r}; without the breadth the call is a mild uptrend.",
            "The index rose {r}, and as nobody gave the breadth it is no more than a mild uptrend.",
            "Up {r} with the breadth unknown: a mild uptrend is as far as the call can go.",
        ),
    },
}
"""By the rule's own reason (wording.ground_of)."""

TURNS = {
    "ko": (
        "{label_i} {limit} {moves_if} {regime_ro} 바뀐다.",
        "{label} {limit}까지 {gap}p 남았고, 그 {moves_if} {regime_ro} 넘어간다.",
        "국면을 가르는 가장 가까운 선은 {label} {limit}이며, 그 {moves_if} {regime_da}.",
        "지금 {label_i} {limit}에서 {gap}p 떨어져 있어, 그 {moves_if} {regime_ro} 본다.",
    ),
    "en": (
        "It turns to {regime} if the {label} {moves} {limit}.",
        "The {label} is {gap}p from {limit}; if it {moves} that, the regime is {regime}.",
        "What would change the view: {label} that {moves} {limit}, which means {regime}.",
        "Nearest to its border is the {label}, {gap}p from the {limit} beyond which lies {regime}.",
    ),
}
"""What would change the view: the number nearest to its limit. {gap} and {limit} come with their %."""

EXPOSURES = {
    "ko": (
        "순노출은 상승 종목 비중에 맞춰 {low}~{high}% 밴드 안의 {net}%로 둔다.",
        "이 국면의 순노출 밴드 {low}~{high}% 가운데 폭에 맞는 자리는 {net}%다.",
        "그래서 순노출 {net}%를 권한다. 밴드는 {low}~{high}%다.",
    ),
    "en": (
        "Net exposure goes to {net}%, the breadth's place in the {low} to {high}% band.",
        "In the band of {low} to {high}% the breadth points to a net {net}%.",
        "Hence a net exposure of {net}%, within {low} to {high}%.",
    ),
}

NEUTRAL = {
    "ko": ("주어지지 않은 {labels_eun} 중립으로 두었다.", "{labels_eun} 알 수 없어 중립으로 본다."),
    "en": ("Not given and taken as neutral: {labels}.", "Taken as neutral because nobody gave them: {labels}."),
}
